package app

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/codearts"
)

const (
	// secretBytes is how much chance there is in a fresh secret.
	secretBytes = 32
	// shortestSecret is how long a secret that is there already has to be, in bytes.
	shortestSecret = 16
	// secretLimit bounds the file of a secret, in bytes.
	secretLimit = 4 << 10
	// nextSuffix is what the file of the next secret ends with, while one takes the place of the other.
	nextSuffix = ".next"
)

// freshSecret writes a new secret into a file that only its owner can read. made is false when the file was there already: then its
// secret is returned. An empty file is what is left of a process that died in between, and is filled.
func freshSecret(path string) (secret codearts.Secret, made bool, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if info, gone := os.Stat(path); gone != nil || info.Size() > 0 || !info.Mode().IsRegular() {
			secret, err = readSecret(path)
			return secret, false, err
		}
		file, err = os.OpenFile(path, os.O_WRONLY, 0)
	}
	if err != nil {
		return codearts.Secret{}, false, fmt.Errorf("the file for the secret cannot be made: %w", err)
	}
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails
	value := base64.RawURLEncoding.EncodeToString(raw)
	err = file.Chmod(0o600)
	if err == nil {
		_, err = io.WriteString(file, value+"\n")
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return codearts.Secret{}, false, fmt.Errorf("the secret cannot be written: %w", errors.Join(err, os.Remove(path))) // half a secret is none
	}
	return codearts.NewSecret(value), true, nil
}

// readSecret reads a secret that a file holds, as the configuration does.
func readSecret(path string) (codearts.Secret, error) {
	file, err := os.Open(path)
	if err != nil {
		return codearts.Secret{}, fmt.Errorf("the file of the secret cannot be read: %w", err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, secretLimit+1))
	if err != nil {
		return codearts.Secret{}, fmt.Errorf("the file of the secret cannot be read: %w", err)
	}
	value := strings.TrimRight(string(data), "\r\n")
	if len(value) < shortestSecret || len(value) > secretLimit || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return codearts.Secret{}, fmt.Errorf("%s does not hold a secret: one line of at least %d plain characters is expected; remove the file, if nothing uses it, for a fresh one",
			path, shortestSecret)
	}
	return codearts.NewSecret(value), nil
}

func fileExists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// accepted reports whether the source called name takes a secret, according to the configuration. Its other secrets are read for that.
func accepted(file string, environ []string, name string, secret codearts.Secret) (bool, error) {
	cfg, err := config.LoadSection(file, environ, "sources."+name)
	if err != nil {
		return false, err
	}
	for _, s := range cfg.Sources[name].Secrets {
		if s.Equal(config.NewSecret(secret.Reveal())) {
			return true, nil
		}
	}
	return false, nil
}

// asNamed is how a configuration names a file: relative to its own folder when it is in there, else from the root.
func asNamed(path, configFile string) string {
	whole, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if folder, err := filepath.Abs(filepath.Dir(configFile)); err == nil && configFile != "" {
		if near, err := filepath.Rel(folder, whole); err == nil && filepath.IsLocal(near) {
			return near
		}
	}
	return whole
}
