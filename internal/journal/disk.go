package journal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is the folder of a journal. Names are those of files in it.
type disk interface {
	// create makes a file, which must not be there, and returns when its name is on the disk.
	create(name string) (file, error)
	open(name string) (readFile, error)
	truncate(name string, size int64) error
	remove(name string) error
	names() ([]string, error)
}

// file is one that is written from its beginning to its end.
type file interface {
	io.WriteCloser
	// sync returns when what was written is on the disk.
	sync() error
	truncate(size int64) error
}

// readFile is a file as it was when it was opened, size in bytes.
type readFile interface {
	io.ReaderAt
	io.Closer
	size() (int64, error)
}

// folder is a disk.
type folder struct {
	path string
	lock *os.File
}

// openFolder makes the folder if it is not there, and locks it.
func openFolder(path string) (*folder, error) {
	if err := makeFolder(path); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(lock); err != nil {
		_ = lock.Close() // nothing was written
		return nil, err
	}
	return &folder{path: path, lock: lock}, nil
}

// makeFolder makes a folder and those it is in, if they are not there, and returns when their names are on the disk. That of a folder that
// was there may not be: who made it may have died before.
func makeFolder(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	parent := filepath.Dir(path)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncNames(parent)
}

// close gives the lock back.
func (d *folder) close() error { return d.lock.Close() }

func (d *folder) create(name string) (file, error) {
	f, err := os.OpenFile(filepath.Join(d.path, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syncNames(d.path); err != nil {
		_ = f.Close() // nothing was written
		_ = os.Remove(f.Name())
		return nil, err
	}
	return osFile{f}, nil
}

// syncNames makes sure the names of the files in a folder are on the disk.
func syncNames(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	err = dir.Sync()
	if closed := dir.Close(); err == nil {
		err = closed
	}
	return err
}

func (d *folder) open(name string) (readFile, error) {
	f, err := os.Open(filepath.Join(d.path, name))
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d *folder) truncate(name string, size int64) error {
	return os.Truncate(filepath.Join(d.path, name), size)
}

func (d *folder) remove(name string) error { return os.Remove(filepath.Join(d.path, name)) }

func (d *folder) names() ([]string, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// osFile is a file of the system.
type osFile struct{ *os.File }

func (f osFile) sync() error               { return datasync(f.File) }
func (f osFile) truncate(size int64) error { return f.Truncate(size) }

func (f osFile) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
