package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// secret reads {env: NAME}, {file: PATH} or {credential: NAME}. What the environment sets anyway is checked for its form only.
func (l *loader) secret(n *yaml.Node, s *setting, path string) (Secret, bool) {
	remedy := "put it into the environment as " + l.variableOf(path) + ", or write {env: NAME}, {file: PATH} or {credential: NAME}"
	if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" {
		l.fail(path, at(n), faultf(remedy, "a secret must not be written into this file"))
		return Secret{}, false
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[1].Kind != yaml.ScalarNode || n.Content[1].Value == "" {
		l.fail(path, at(n), faultf(remedy, "expected one of env, file and credential%s, found %s", within(path), found(n)))
		return Secret{}, false
	}
	key, value := n.Content[0], n.Content[1]
	var text string
	var f *fault
	switch key.Value {
	case "env":
		l.named[value.Value] = true
		if text = l.env[value.Value]; text == "" {
			f = faultf("", "the environment variable %s is not set", quote(value.Value))
		}
	case "file":
		text, f = l.secretFile(value.Value)
	case "credential":
		text, f = l.credential(value.Value)
	default:
		l.fail(path, at(key), faultf(remedy, "expected env, file or credential%s, found %s", within(path), quote(key.Value)))
		return Secret{}, false
	}
	if _, overridden := l.given[path]; overridden {
		return Secret{}, false
	}
	if !l.opens(path) {
		return NewSecret("sealed"), true
	}
	if f == nil {
		_, f = checkText(s, text, "")
	}
	if f != nil {
		l.fail(path, at(value), f)
		return Secret{}, false
	}
	return NewSecret(text), true
}

// secretFile reads the file of a secret, without the line ends an editor leaves behind it.
func (l *loader) secretFile(path string) (string, *fault) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.folder, path)
	}
	data, err := readFile(path)
	if err != nil {
		return "", faultf("", "the file of the secret, %s, cannot be read: %s", quote(path), reason(err))
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		return "", faultf("", "the file of the secret, %s, is empty", quote(path))
	}
	return text, nil
}

// credentialsVariable is set by systemd for a service with LoadCredential=: the folder of its credentials, each a file.
const credentialsVariable = "CREDENTIALS_DIRECTORY"

// credential reads one of the credentials that systemd hands to a service.
func (l *loader) credential(name string) (string, *fault) {
	if name != filepath.Base(name) || name == "." || name == ".." {
		return "", faultf("", "expected the name of a credential, found %s", quote(name))
	}
	folder := l.env[credentialsVariable]
	if folder == "" {
		return "", faultf("systemd sets it for a service with LoadCredential="+name+":PATH; by hand, name the folder of the credentials",
			"the credential %s cannot be read: %s is not set", quote(name), credentialsVariable)
	}
	if abs, err := filepath.Abs(folder); err == nil {
		folder = abs
	}
	return l.secretFile(filepath.Join(folder, name))
}

var errTooLarge = errors.New("larger than 1MiB")

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errTooLarge
	}
	return data, err
}

// reason is an error of the file system without the path, which the message has.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}
