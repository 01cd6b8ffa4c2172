package codearts

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"
)

// FileContent is a file at a ref (CodeArts page ShowFile). Data is always the whole file.
type FileContent struct {
	FilePath     string  `json:"file_path" doc:"path as asked for"`
	FileName     *string `json:"file_name" doc:"name"`
	Ref          string  `json:"ref" doc:"branch, tag or commit as asked for"`
	Size         int64   `json:"size" doc:"length, bytes"`
	Binary       bool    `json:"binary" doc:"not text: content is empty"`
	Content      string  `json:"content" doc:"the text of the file"`
	BlobID       *string `json:"blob_id" doc:"id of the content"`
	CommitID     *string `json:"commit_id" doc:"commit the ref stands for"`
	LastCommitID *string `json:"last_commit_id" doc:"commit that last changed the file: the fence for a change"`
	SHA256       *string `json:"content_sha256" doc:"SHA-256 of the file, when CodeArts sent it"`

	Data []byte `json:"-"` // the file as it is, text or not
}

// fileAnswer is FileContent as it is sent.
type fileAnswer struct {
	FileName     *string `json:"file_name"`
	Name         *string `json:"name"`
	Encoding     *string `json:"encoding"`
	Content      *string `json:"content"`
	BlobID       *string `json:"blob_id"`
	CommitID     *string `json:"commit_id"`
	LastCommitID *string `json:"last_commit_id"`
	SHA256       *string `json:"content_sha256"`
	IsLimited    *bool   `json:"is_limited"` // v4: the content is not all of it, or not there
}

// OpFile is the name of the operation about a file, as it stands in APIError.Op.
const OpFile = "file"

func fileOperations() []Operation {
	return []Operation{{
		Name: OpFile, Service: ServiceRepo, Method: http.MethodGet, Path: "/v2/projects/{repo_id}/repository/files/{file_path}",
		V4:    "GET /v4/repositories/{repository_id}/repository/files",
		Title: "Read a file", TitleZH: "查询文件信息", Doc: "a file of a repository", Page: "ShowFile",
		Args: []Arg{repoIDArg, need("file_path", ArgText, "path of the file"), need("ref", ArgText, "branch, tag or commit")},
		// Its last commit is not for the loop guard: a file we wrote once may be read for ever.
		Result: reflect.TypeFor[FileContent](), Repeat: RepeatFreely, shape: shapeRepo, limit: 32 << 20,
		call: func(ctx context.Context, c *Client, a Values) (any, error) {
			return c.File(ctx, a.Text("repo_id"), a.Text("file_path"), a.Text("ref"))
		},
	}}
}

// File reads a file at a branch, tag or commit: Read a file, 查询文件信息 (CodeArts page ShowFile). ref is required. A file that is not there is
// ErrNotFound. One that CodeArts does not send whole, or that is not what its checksum says, is an error, never a part of it.
func (c *Client) File(ctx context.Context, repoID, path, ref string) (*FileContent, error) {
	op := c.op(OpFile)
	if err := checkRepoID(op, repoID); err != nil {
		return nil, err
	}
	if ref == "" {
		return nil, invalid(op, "ref is needed")
	}
	got, err := c.readFile(ctx, repoID, path, ref)
	if err != nil {
		return nil, err
	}
	if got.IsLimited != nil && *got.IsLimited {
		e := newError(op)
		e.Err, e.class = errors.New("CodeArts does not send this file whole (is_limited)"), classSize
		return nil, e
	}
	data, err := got.read(c.isV4())
	if err != nil {
		e := newError(op)
		e.Err, e.class = err, classUnreadable
		return nil, e
	}
	f := &FileContent{
		FilePath: path, FileName: got.FileName, Ref: ref, Size: int64(len(data)), Data: data,
		BlobID: got.BlobID, CommitID: got.CommitID, LastCommitID: got.LastCommitID, SHA256: got.SHA256,
	}
	if f.FileName == nil {
		f.FileName = got.Name
	}
	if f.Binary = !utf8.Valid(data); !f.Binary {
		f.Content = string(data)
	}
	return f, nil
}

// readFile asks for a file. In v4 everything stands in the query.
func (c *Client) readFile(ctx context.Context, repoID, path, ref string) (*fileAnswer, error) {
	var got *fileAnswer
	if !c.isV4() {
		err := c.do(ctx, OpFile, question{path: []string{repoID, path}, query: url.Values{"ref": {ref}}}, &got)
		return got, err
	}
	if reason := unfit("file_path", path); reason != "" {
		return nil, invalid(c.op(OpFile), "file_path %s", reason)
	}
	q := question{path: []string{repoID}, query: url.Values{"file_path": {path}, "ref": {ref}}}
	if !c.otherFile.Load() {
		err := c.do(ctx, OpFile, q, &got)
		if !noSuchCall(err) {
			return got, err
		}
	}
	err := c.do(ctx, opFileOtherPath, q, &got)
	if err == nil {
		c.otherFile.Store(true)
	}
	return got, err
}

// read returns the bytes of the file. In v4 it sees to it that they are all of it.
func (a *fileAnswer) read(v4 bool) ([]byte, error) {
	data, err := a.decode()
	if err != nil || !v4 {
		return data, err
	}
	if a.SHA256 != nil && *a.SHA256 != "" {
		if sum := sha256.Sum256(data); !strings.EqualFold(hex.EncodeToString(sum[:]), *a.SHA256) {
			return nil, errors.New("the content does not have the checksum that content_sha256 says")
		}
	}
	return data, nil
}

// decode returns the bytes of the content.
func (a *fileAnswer) decode() ([]byte, error) {
	if a.Content == nil {
		return nil, errors.New("the answer has no content")
	}
	encoding := ""
	if a.Encoding != nil {
		encoding = strings.ToLower(*a.Encoding)
	}
	switch encoding {
	case "base64":
		data, err := base64.StdEncoding.DecodeString(strings.Map(dropSpace, *a.Content))
		if err != nil {
			return nil, errors.New("the content is not base64")
		}
		return data, nil
	case "", "text", "utf-8", "utf8":
		return []byte(*a.Content), nil
	}
	return nil, fmt.Errorf("the content is encoded as %q, which is not known", clip(clean(encoding, 40), 40))
}

func dropSpace(r rune) rune {
	switch r {
	case ' ', '\n', '\r', '\t':
		return -1
	}
	return r
}
