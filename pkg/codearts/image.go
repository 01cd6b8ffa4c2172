package codearts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"
)

// The names of the operations about images, as they stand in APIError.Op.
const (
	OpImageTemplates     = "image_templates"
	OpDockerfileTemplate = "dockerfile_template"
)

// MaxDockerfile is the size of the largest Dockerfile template that is read, in bytes.
const MaxDockerfile = 1 << 20

func imageOperations() []Operation {
	return []Operation{
		{
			Name: OpImageTemplates, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/image/templates",
			Title: "Image templates", TitleZH: "获取镜像模板列表", Doc: "the base images that CodeArts offers", Page: "ShowImageTemplateList",
			Result: reflect.TypeFor[[]ImageTemplate](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, _ Values) (any, error) { return orEmpty(c.ImageTemplates(ctx)) },
		},
		{
			Name: OpDockerfileTemplate, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/image/dockerfile-template",
			Title: "Dockerfile template", TitleZH: "获取dockerfileTemplate", Doc: "the Dockerfile to start from for a base image", Page: "ShowDockerfileTemplate",
			Args: []Arg{need("image_id", ArgText, "the image, as image_templates has it")}, Result: reflect.TypeFor[DockerfileTemplate](),
			Repeat: RepeatFreely, shape: shapeText, limit: MaxDockerfile,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return c.DockerfileTemplate(ctx, a.Text("image_id"))
			},
		},
	}
}

// ImageTemplate is a base image that CodeArts offers, as CodeArts page ShowImageTemplateList has it.
type ImageTemplate struct {
	ImageID      *Text   `json:"image_id" doc:"id of the image; asks dockerfile_template"`
	Organization *string `json:"organization" doc:"organization of the image registry it is in"`
	ImageName    *string `json:"image_name" doc:"name of the image"`
	ImageLabel   *Text   `json:"image_label" doc:"its tag"`
	BaseImage    *string `json:"base_image" doc:"operating system"`
	Title        *string `json:"title" doc:"title"`
	Description  *string `json:"description" doc:"description"`
	CreateTime   *Text   `json:"create_time" doc:"when it was made, as CodeArts sent it"`
}

// ImageTemplates lists the base images that CodeArts offers: Image templates, 获取镜像模板列表 (CodeArts page ShowImageTemplateList). They
// come in one piece.
func (c *Client) ImageTemplates(ctx context.Context) ([]ImageTemplate, error) {
	var got *struct {
		Templates []ImageTemplate `json:"image_templates"`
	}
	if err := c.do(ctx, OpImageTemplates, question{}, &got); err != nil {
		return nil, err
	}
	return got.Templates, nil
}

// DockerfileTemplate is the Dockerfile to start from for a base image.
type DockerfileTemplate struct {
	ImageID string `json:"image_id" doc:"the image as asked for"`
	Content string `json:"content" doc:"the text of the Dockerfile"`
}

// DockerfileTemplate returns the Dockerfile to start from for a base image: Dockerfile template, 获取dockerfileTemplate (CodeArts page
// ShowDockerfileTemplate). imageID is one that ImageTemplates brought. CodeArts sends the file itself; one that is larger than
// MaxDockerfile, empty, or no text is an error.
func (c *Client) DockerfileTemplate(ctx context.Context, imageID string) (*DockerfileTemplate, error) {
	query := url.Values{"image_id": {imageID}}
	if err := c.op(OpDockerfileTemplate).complete(query); err != nil {
		return nil, err
	}
	t := &DockerfileTemplate{ImageID: imageID}
	if err := c.do(ctx, OpDockerfileTemplate, question{query: query}, &t.Content); err != nil {
		return nil, err
	}
	return t, nil
}

// readText reads a 2xx answer that is a text into out, a *string. JSON in its place says what went wrong, whatever its content type: no
// file that is asked for begins with a brace. A web page is no answer either.
func (c *Client) readText(op *Operation, got *answer, out any) *APIError {
	media, _, _ := mime.ParseMediaType(got.header.Get("Content-Type"))
	text := bytes.TrimSpace(got.body)
	switch {
	case len(text) == 0:
		return c.notText(op, got, "the file is empty")
	case text[0] == '{' || media == "application/json" || strings.HasSuffix(media, "+json"):
		var env envelope
		if err := json.Unmarshal(got.body, &env); err != nil && !isMismatch(err) {
			return c.unreadable(op, got, err)
		}
		if env.saysFailed() {
			return c.failure(op, got)
		}
		e := c.notText(op, got, "it is JSON where a file should be")
		e.again = false
		return e
	case media == "text/html" || media == "application/xhtml+xml":
		return c.notText(op, got, "it is a web page where a file should be")
	case !utf8.Valid(got.body):
		e := c.notText(op, got, "the file is no text")
		e.again = false
		return e
	}
	*out.(*string) = string(got.body) //nolint:forcetypeassert // what every call of this shape gives
	return nil
}

// notText is the error of a 2xx answer that is not the text that was expected.
func (c *Client) notText(op *Operation, got *answer, reason string) *APIError {
	e := c.unreadable(op, got, nil)
	e.Err = errors.New(reason)
	return e
}
