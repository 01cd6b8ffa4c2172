package config

import (
	"iter"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

const (
	variablePrefix = "MILLRACE_"
	// fileVariable names the file itself; it is read when Load gets no path.
	fileVariable = variablePrefix + "CONFIG"
)

// overlay sets what the environment gives, each variable at the path match found for it.
func (l *loader) overlay(cfg reflect.Value, root *setting) {
	for _, path := range slices.Sorted(maps.Keys(l.given)) {
		variable := l.given[path]
		if f := l.assign(cfg, root, strings.Split(path, "."), l.env[variable], variable); f != nil {
			l.fail(path, place{variable: variable}, f)
		}
	}
}

// assign walks from section down to the setting at path and sets it, making entries that are not there yet.
func (l *loader) assign(section reflect.Value, s *setting, path []string, text, variable string) *fault {
	child := s.child(path[0])
	dst := section.Field(child.field)
	switch child.kind {
	case kindSection:
		return l.assign(dst, child, path[1:], text, variable)
	case kindEntries:
		name := path[1]
		entry := reflect.New(child.entry).Elem()
		if old := dst.MapIndex(reflect.ValueOf(name)); old.IsValid() {
			entry.Set(old)
		} else {
			l.fill(entry, child.children)
		}
		if p := child.key + "." + name; l.places[p] == (place{}) {
			l.places[p] = place{variable: variable}
		}
		f := l.assign(entry, child, path[2:], text, variable)
		put(dst, name, entry)
		return f
	case kindTexts, kindSecrets:
		return l.assignList(dst, child, text)
	default:
		return l.set(dst, child, text, "")
	}
}

// assignList sets a list from items separated by commas.
func (l *loader) assignList(dst reflect.Value, s *setting, text string) *fault {
	dst.SetZero()
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		item, f := checkText(s, item, "")
		if f != nil {
			return f
		}
		if s.kind == kindSecrets {
			dst.Set(reflect.Append(dst, reflect.ValueOf(NewSecret(item))))
		} else {
			dst.Set(reflect.Append(dst, reflect.ValueOf(item)))
		}
	}
	return nil
}

// match finds the path of a variable, given its name without the prefix. A name inside may hold hyphens and never underscores,
// and no setting of an entry, whole with its section, is the tail of another, so there is at most one.
func match(s *setting, rest string) (path string, ok bool) {
	for _, c := range s.children {
		key := upperSnake(c.key)
		tail, below := strings.CutPrefix(rest, key+"_")
		switch {
		case c.kind == kindSection && below:
			if path, ok := match(c, tail); ok {
				return join(c.key, path), true
			}
		case c.kind == kindEntries && below:
			if name, path, ok := matchEntry(c, tail); ok {
				return c.key + "." + name + "." + path, true
			}
		case c.kind != kindSection && c.kind != kindEntries && rest == key:
			return c.key, true
		}
	}
	return "", false
}

// matchEntry finds the setting of an entry. Where one setting is the tail of another, as token of security_token, the longer counts.
func matchEntry(s *setting, rest string) (name, path string, ok bool) {
	longest := 0
	for p, leaf := range leavesOf(s, "") {
		before, found := strings.CutSuffix(rest, "_"+leaf.variable())
		if entry := entryName(before); found && nameFits(entry) && len(leaf.variable()) > longest {
			name, path, ok, longest = entry, p, true, len(leaf.variable())
		}
	}
	return name, path, ok
}

// leavesOf are the settings of a section or of an entry, those in its sections included, by their paths.
func leavesOf(s *setting, path string) iter.Seq2[string, *setting] {
	return func(yield func(string, *setting) bool) {
		for _, c := range s.children {
			p := join(path, c.key)
			if c.kind != kindSection {
				if !yield(p, c) {
					return
				}
				continue
			}
			for p, leaf := range leavesOf(c, p) {
				if !yield(p, leaf) {
					return
				}
			}
		}
	}
}

func entryName(variable string) string {
	return strings.ToLower(strings.ReplaceAll(variable, "_", "-"))
}

// unknown reports every variable with our prefix that means nothing.
func (l *loader) unknown(root *setting, variables []string) {
	for _, name := range variables {
		if l.named[name] || name == fileVariable || serviceLink(name, l.env[name]) {
			continue
		}
		hint := didYouMean(name, candidates(root, name))
		if hint == "" {
			hint = "remove it; the reference of the configuration lists all settings"
		}
		l.report(place{variable: name}, faultf(hint, "unknown setting"))
	}
}

// serviceLink recognises the variables Kubernetes puts into every container for a service called millrace or millrace-….
func serviceLink(name, value string) bool {
	if strings.HasSuffix(name, "_PORT") {
		return strings.HasPrefix(value, "tcp://") || strings.HasPrefix(value, "udp://")
	}
	return regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`).MatchString(name)
}

// candidates are the variables that name could be meant for; for an entry, with any part of name taken as the entry's name.
func candidates(s *setting, name string) []string {
	var all []string
	for _, c := range s.children {
		switch c.kind {
		case kindSection:
			all = append(all, candidates(c, name)...)
		case kindEntries:
			tail, ok := strings.CutPrefix(name, c.variable()+"_")
			if !ok {
				continue
			}
			for i := range len(tail) {
				if tail[i] != '_' || i == 0 {
					continue
				}
				for _, leaf := range leavesOf(c, "") {
					all = append(all, c.variable()+"_"+tail[:i]+"_"+leaf.variable())
				}
			}
		default:
			all = append(all, c.variable())
		}
	}
	return all
}

// variableOf is the variable of the setting at path.
func (l *loader) variableOf(path string) string {
	return variablePrefix + upperSnake(strings.ReplaceAll(path, ".", "_"))
}

// environMap keeps the variables that are set to something. Of two of one name the last counts, as for a process.
func environMap(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, line := range environ {
		if name, value, ok := strings.Cut(line, "="); ok {
			env[name] = value
		}
	}
	maps.DeleteFunc(env, func(_, value string) bool { return value == "" })
	return env
}
