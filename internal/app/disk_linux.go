package app

import "syscall"

// diskOf looks at what a folder is on.
func diskOf(folder string) (Disk, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return Disk{}, err
	}
	// The numbers are those of statfs(2).
	kinds := map[uint32]string{
		0x01021994: "tmpfs", 0x858458f6: "ramfs", 0x794c7630: "overlay", 0x6969: "nfs", 0xff534d42: "cifs", 0xfe534d42: "smb", 0x517b: "smb",
		0x01021997: "9p", 0x65735546: "fuse", 0x00c36400: "ceph",
	}
	return Disk{Kind: kinds[uint32(s.Type)], Free: int64(s.Bavail) * s.Bsize}, nil //nolint:gosec,unconvert // the types differ from one architecture to another
}
