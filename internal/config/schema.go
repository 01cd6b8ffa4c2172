package config

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// kind is the shape of a setting.
type kind int

const (
	kindText kind = iota
	kindInt
	kindBytes
	kindDuration
	kindReplicas
	kindBool
	kindSecret
	kindTexts
	kindSecrets
	kindSection // settings with fixed names
	kindEntries // a section for each name the operator chooses
)

// want says in a message what a value of the kind looks like.
func (k kind) want() string {
	switch k {
	case kindInt:
		return "a whole number"
	case kindBytes:
		return "a size like 768KiB, 2GiB or a number of bytes"
	case kindDuration:
		return "a duration like 500ms, 30s, 5m or 24h"
	case kindReplicas:
		return "auto or a whole number"
	case kindBool:
		return "true or false"
	case kindSecret:
		return "{env: NAME}, {file: PATH} or {credential: NAME}"
	case kindTexts:
		return "a list of texts"
	case kindSecrets:
		return "a list of {env: NAME}, {file: PATH} or {credential: NAME}"
	case kindSection:
		return "settings"
	case kindEntries:
		return "names, each with its settings"
	default:
		return "a text"
	}
}

// setting is one node of the tree of settings, made from the fields of Config.
type setting struct {
	key            string
	kind           kind
	field          int // index in the struct of the section
	doc, def       string
	minimum        string
	maximum        string
	oneOf          []string
	check          string
	children       []*setting   // of a section, and of the sections of entries
	entry          reflect.Type // of entries
	parentVariable string       // MILLRACE_NATS_
}

// schema is the whole tree.
func schema() *setting {
	root := &setting{kind: kindSection, parentVariable: variablePrefix}
	root.children = sections(reflect.TypeFor[Config](), variablePrefix)
	return root
}

func sections(t reflect.Type, prefix string) []*setting {
	var all []*setting
	for i := range t.NumField() {
		f := t.Field(i)
		s := &setting{
			key: f.Tag.Get("key"), field: i, doc: f.Tag.Get("doc"), def: f.Tag.Get("default"),
			minimum: f.Tag.Get("min"), maximum: f.Tag.Get("max"), check: f.Tag.Get("check"), parentVariable: prefix,
		}
		if words := f.Tag.Get("oneof"); words != "" {
			s.oneOf = strings.Split(words, "|")
		}
		s.kind = kindOf(f.Type)
		switch s.kind {
		case kindSection:
			s.children = sections(f.Type, s.variable()+"_")
		case kindEntries:
			s.entry = f.Type.Elem()
			s.children = sections(s.entry, "")
		}
		all = append(all, s)
	}
	return all
}

func kindOf(t reflect.Type) kind {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return kindDuration
	case reflect.TypeFor[Bytes]():
		return kindBytes
	case reflect.TypeFor[Replicas]():
		return kindReplicas
	case reflect.TypeFor[Secret]():
		return kindSecret
	case reflect.TypeFor[[]Secret]():
		return kindSecrets
	case reflect.TypeFor[[]string]():
		return kindTexts
	}
	switch t.Kind() {
	case reflect.String:
		return kindText
	case reflect.Int:
		return kindInt
	case reflect.Bool:
		return kindBool
	case reflect.Struct:
		return kindSection
	case reflect.Map:
		return kindEntries
	default:
		panic("config: no kind of setting for " + t.String())
	}
}

// variable is the name of the setting in the environment. Inside entries it is only the part after the entry's name.
func (s *setting) variable() string { return s.parentVariable + upperSnake(s.key) }

func (s *setting) child(key string) *setting {
	i := slices.IndexFunc(s.children, func(c *setting) bool { return c.key == key })
	if i < 0 {
		return nil
	}
	return s.children[i]
}

func (s *setting) keys() []string {
	keys := make([]string, len(s.children))
	for i, c := range s.children {
		keys[i] = c.key
	}
	return keys
}

// fill sets the defaults of a section.
func (l *loader) fill(section reflect.Value, settings []*setting) {
	for _, s := range settings {
		switch {
		case s.kind == kindSection:
			l.fill(section.Field(s.field), s.children)
		case s.def != "":
			if f := l.set(section.Field(s.field), s, s.def, ""); f != nil {
				panic("config: default of " + s.key + ": " + f.message)
			}
		}
	}
}

func upperSnake(key string) string { return strings.ToUpper(strings.ReplaceAll(key, "-", "_")) }
