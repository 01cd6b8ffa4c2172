package rules

import (
	"slices"
	"strconv"
)

// Form is what may stand under a key.
type Form uint8

// The forms. Where ${{ }} may stand, a number, true and false may stand too, as the text they are written as.
const (
	FormText           Form = iota // text with ${{ }} in it
	FormConstant                   // text whose ${{ }} may read vars only, because it is used before there is an event
	FormLiteral                    // text as it stands
	FormExpression                 // an expression as a whole, without ${{ }}
	FormBool                       // true or false
	FormWord                       // one of Words; the first is the default
	FormDuration                   // like 30s, 5m or 1h30m
	FormConnection                 // the name of a connection; ${{ }} may read vars only
	FormNames                      // the name of a target, or a list of them
	FormDays                       // a list of whole numbers
	FormPatterns                   // text to compare with, or a list of it
	FormNumber                     // a whole number or a time, also as text whose ${{ }} may read vars
	FormCount                      // a whole number from 1, also as text whose ${{ }} may read vars
	FormMapping                    // the mapping named Of
	FormMappings                   // a list of the mapping named Of
	FormVars                       // a mapping of names to constants
	FormFacts                      // a mapping of names to the mapping "fact"
	FormMatch                      // the mapping "match", which may have fields of events too
	FormMatches                    // a list of mappings as FormMatch says, none of them empty
	FormMatchOrMatches             // one of them, or a list
	FormEvents                     // a type of event, a list of them, or the mapping "on"
	FormParameters                 // a mapping of names to texts with ${{ }}
)

// Key is one key that a mapping of a rule file may have.
type Key struct {
	Name    string
	Needed  bool
	Form    Form
	Of      string   // of FormMapping and FormMappings: name of the Mapping
	Words   []string // of FormWord
	Pattern string   // of a text without ${{ }}: the regular expression it has to satisfy; "": any
	Most    int      // of a list: how many elements; 0: any number
	Filled  bool     // it may be left out, but not left empty
	Default string   // in words; "" none
	Doc     string   // what it means, a clause
}

// Mapping is one kind of mapping in a rule file. The parser, the JSON Schema and docs/reference/rules.md know its keys from here.
type Mapping struct {
	Name  string // unique
	Where string // where it stands: "do[].commit"
	Doc   string // a clause
	Keys  []Key
	OneOf []string // exactly one of these keys has to be there
	Some  bool     // at least one key has to be there
	Cases []Case   // what more is needed and refused, by the word under Cases[i].Key
}

// Case says which keys a mapping needs and which it may not have when the word under Key is Word.
type Case struct {
	Key, Word string
	Needs     []string
	Without   []string
}

// keyTable is a Mapping as the parser uses it.
type keyTable struct {
	Mapping
	names  []string
	needed []string
}

func newKeyTable(m Mapping) *keyTable {
	t := &keyTable{Mapping: m}
	for _, k := range m.Keys {
		t.names = append(t.names, k.Name)
		if k.Needed {
			t.needed = append(t.needed, k.Name)
		}
	}
	t.names, t.needed = slices.Clip(t.names), slices.Clip(t.needed)
	return t
}

// words are the words that may stand under a key; the first is the default.
func (t *keyTable) words(name string) []string { return t.Keys[slices.Index(t.names, name)].Words }

// Mappings are all kinds of mapping in a rule file, from the outside to the inside.
func Mappings() []Mapping {
	var out []Mapping
	for _, t := range []*keyTable{
		fileKeys, ruleKeys, onKeys, scheduleKeys, matchKeys, lineKeys, limitKeys, throttleKeys, factKeys, factEachKeys, eachKeys, actionKeys, commitKeys, fileActionKeys, buildKeys, notifyKeys, alertKeys,
	} {
		out = append(out, t.Mapping)
	}
	return out
}

const (
	digitsPattern = `^[0-9]{1,18}$`
	jobPattern    = `^[0-9A-Za-z]{32}$`
)

var fileKeys = newKeyTable(Mapping{
	Name: "file", Where: "the file", Doc: "a rule file",
	Keys: []Key{
		{Name: "vars", Form: FormVars, Doc: "constants of this file: texts, numbers, true and false, lists and mappings; expressions read them as vars.<name>"},
		{Name: "rules", Form: FormMappings, Of: "rule", Doc: "the rules"},
	},
})

var ruleKeys = newKeyTable(Mapping{
	Name: "rule", Where: "rules[]", Doc: "on such an event, if these facts hold, do this",
	Keys: []Key{
		{Name: "name", Needed: true, Form: FormLiteral, Pattern: ruleName.String(), Doc: "up to 100 letters, digits, - _ and .; no other rule of the ruleset has it. A rule with a new name is a new rule"},
		{Name: "description", Form: FormLiteral, Doc: "for people"},
		{Name: "mode", Form: FormWord, Words: []string{ModeLive, ModeShadow, ModeOff}, Default: ModeLive, Doc: "live decides and acts; shadow decides, records and carries nothing out; off matches nothing"},
		{Name: "on", Needed: true, Form: FormEvents, Doc: "what the rule is for: a type of event, a list of types or globs of them, or a schedule"},
		{Name: "match", Form: FormMatch, Doc: "fields an event must have; every line must hold"},
		{Name: "on_own_commits", Form: FormBool, Default: "false", Doc: "true: also events that Millrace's own commits caused"},
		{Name: "latest_only", Form: FormBool, Default: "false", Doc: "true: an event that a newer one of the same branch has overtaken is dropped"},
		{Name: "limit", Form: FormMapping, Of: "limit", Filled: true, Doc: "how many events may fit the rule in one minute before it is paused"},
		{Name: "throttle", Form: FormMapping, Of: "throttle", Filled: true, Doc: "act at most once for each key and time"},
		{Name: "fetch", Form: FormFacts, Doc: "facts that are read while the rule runs, each under a name of yours; expressions read them as facts.<name>"},
		{Name: "when", Form: FormExpression, Filled: true, Default: "true", Doc: "the condition: an expression over event, facts, vars, and item with a for_each"},
		{Name: "for_each", Form: FormMapping, Of: "for_each", Filled: true, Doc: "decide each element of a list by itself, as item"},
		{Name: "do", Needed: true, Form: FormMappings, Of: "action", Most: maxActions, Doc: "the actions"},
	},
})

var onKeys = newKeyTable(Mapping{
	Name: "on", Where: "rules[].on", Doc: "a schedule instead of events",
	Keys: []Key{{Name: "schedule", Needed: true, Form: FormMapping, Of: "schedule", Doc: "when the rule runs; it makes an event of type " + tickType}},
})

var scheduleKeys = newKeyTable(Mapping{
	Name: "schedule", Where: "rules[].on.schedule", Doc: "exactly one of cron, every and at",
	OneOf: []string{"cron", "every", "at"},
	Keys: []Key{
		{Name: "cron", Form: FormConstant, Doc: "five fields: minute, hour, day of month, month, day of week (0 or sun to 6 or sat)"},
		{Name: "every", Form: FormDuration, Doc: "whole seconds: 90s, 5m, 12h"},
		{Name: "at", Form: FormConstant, Doc: "one point in time: 2026-11-20T09:00:00+08:00"},
		{Name: "time_zone", Form: FormConstant, Default: "UTC", Doc: "of cron: an IANA name like Asia/Shanghai"},
	},
})

var matchKeys = newKeyTable(Mapping{
	Name: "match", Where: "rules[].match", Doc: "what an event has to be, beside lines that name its fields; any of these may stand within each other",
	Keys: []Key{
		{Name: groupAny.String(), Form: FormMatches, Filled: true, Doc: "a list; all lines of one of its elements hold"},
		{Name: groupAll.String(), Form: FormMatches, Filled: true, Doc: "a list; all lines of each of its elements hold"},
		{Name: groupNot.String(), Form: FormMatchOrMatches, Filled: true, Doc: "these lines do not all hold, also because a field is not there; of a list, those of no element"},
	},
})

var lineKeys = newKeyTable(Mapping{
	Name: "line", Where: "rules[].match.<field>", Doc: "what a field may be and what it may not be", Some: true,
	Keys: []Key{
		{Name: "glob", Form: FormPatterns, Doc: "taken by this glob, or by one of a list; * stops at a slash, ** does not, ? is one character"},
		{Name: "not", Form: FormPatterns, Doc: "there, and neither this nor one of a list"},
		{Name: "gt", Form: FormNumber, Doc: "of a number or a time: greater than this"},
		{Name: "ge", Form: FormNumber, Doc: "of a number or a time: this or greater"},
		{Name: "lt", Form: FormNumber, Doc: "of a number or a time: less than this"},
		{Name: "le", Form: FormNumber, Doc: "of a number or a time: this or less"},
		{Name: "exists", Form: FormBool, Filled: true, Doc: "true: there, whatever it is; false: not there"},
	},
})

var limitKeys = newKeyTable(Mapping{
	Name: "limit", Where: "rules[].limit", Doc: "when the rule is paused because too many events fit it", Some: true,
	Keys: []Key{
		{Name: "matches_per_minute", Form: FormCount, Default: strconv.Itoa(DefaultMatchesPerMinute), Doc: "how many events accepted within one minute may fit the rule, 1 to " + strconv.Itoa(maxMatchesPerMinute)},
		{Name: "pause", Form: FormDuration, Default: brief(DefaultPause), Doc: "how long it is paused when more do, " + brief(minPause) + " to " + brief(maxPause)},
	},
})

var throttleKeys = newKeyTable(Mapping{
	Name: "throttle", Where: "rules[].throttle", Doc: "how often the rule acts at most",
	Keys: []Key{
		{Name: "key", Needed: true, Form: FormText, Doc: "what is told apart, 1 to 500 characters; with a for_each it may read item"},
		{Name: "per", Needed: true, Form: FormDuration, Doc: "the rule acts at most once for each key in this time, " + brief(minPer) + " to " + brief(maxPer)},
	},
})

var factKeys = newKeyTable(Mapping{
	Name: "fact", Where: "rules[].fetch.<name>", Doc: "one kind of fact with its arguments, and how it is awaited",
	Keys: []Key{
		{Name: "for_each", Form: FormMapping, Of: "fact_for_each", Filled: true, Doc: "one call for each element of a list, as item; what they bring is one list"},
		{Name: "until", Form: FormExpression, Filled: true, Doc: "a condition over the fact itself, others and the event; while it is false the fact is not ready and the run waits"},
		{Name: "every", Form: FormDuration, Default: brief(DefaultEvery), Doc: "pause between two looks, 1s to 24h"},
		{Name: "timeout", Form: FormDuration, Default: brief(DefaultTimeout), Doc: "how long to wait since the fact was first found not ready, 1s to 336h"},
		{Name: "on_timeout", Form: FormWord, Words: []string{OnTimeoutSkip, OnTimeoutFail, OnTimeoutContinue}, Default: OnTimeoutSkip, Doc: "skip: nothing is done; fail: a dead letter; continue: go on with what is there, or null"},
		{Name: "connection", Form: FormConnection, Default: DefaultConnection, Doc: "the account of the configuration that is asked"},
	},
})

var factEachKeys = newKeyTable(Mapping{
	Name: "fact_for_each", Where: "rules[].fetch.<name>.for_each", Doc: "the list that calls are made for",
	Keys: []Key{{Name: "in", Needed: true, Form: FormExpression, Doc: "an expression that gives a list"}},
})

var eachKeys = newKeyTable(Mapping{
	Name: "for_each", Where: "rules[].for_each", Doc: "the list whose elements are decided one by one",
	Keys: []Key{
		{Name: "in", Needed: true, Form: FormExpression, Doc: "an expression that gives a list"},
		{Name: "key", Needed: true, Form: FormExpression, Doc: "an expression over item that tells elements apart: a text or a number that lasts, as an id"},
	},
})

var actionKeys = newKeyTable(Mapping{
	Name: "action", Where: "rules[].do[]", Doc: "one action",
	OneOf: actionKinds(),
	Keys: []Key{
		{Name: "id", Form: FormLiteral, Pattern: identifier.String(), Default: "kind and number, as commit1", Doc: "names the action, for results.<id>; part of the action's identity"},
		{Name: "if", Form: FormExpression, Filled: true, Default: "true", Doc: "an expression; when it is false this action is left out"},
		{Name: "deadline", Form: FormDuration, Default: "the configuration's for its kind", Doc: "how long after the event was accepted it still makes sense, " + brief(minDeadline) + " to " + brief(maxDeadline) + "; later it is a dead letter of class expired"},
		{Name: KindCommit, Form: FormMapping, Of: KindCommit, Doc: "one commit to a repository of CodeArts"},
		{Name: KindBuild, Form: FormMapping, Of: KindBuild, Doc: "one run of a build task of CodeArts"},
		{Name: KindNotify, Form: FormMapping, Of: KindNotify, Doc: "a message to people"},
		{Name: KindAlert, Form: FormMapping, Of: KindAlert, Doc: "a countdown with memory: it tells people when days run out, each step once"},
	},
})

// besideKind are the keys of an action other than its kind.
func besideKind() []string {
	return slices.DeleteFunc(slices.Clone(actionKeys.names), func(k string) bool { return slices.Contains(actionKinds(), k) })
}

// bodyKeys are the keys of what an action of a kind says.
func bodyKeys(kind string) *keyTable {
	switch kind {
	case KindCommit:
		return commitKeys
	case KindBuild:
		return buildKeys
	case KindNotify:
		return notifyKeys
	}
	return alertKeys
}

var commitKeys = newKeyTable(Mapping{
	Name: KindCommit, Where: "rules[].do[].commit", Doc: "one commit to a repository of CodeArts",
	Keys: []Key{
		{Name: "connection", Form: FormConnection, Default: DefaultConnection, Doc: "the account of the configuration that commits"},
		{Name: "repo_id", Needed: true, Form: FormText, Pattern: digitsPattern, Doc: "the repository's id, digits"},
		{Name: "branch", Needed: true, Form: FormText, Doc: "the branch it goes to"},
		{Name: "start_branch", Form: FormText, Doc: "where branch starts from when it is not there yet"},
		{Name: "message", Needed: true, Form: FormText, Doc: "up to 2000 characters with the trailer"},
		{Name: "author_name", Form: FormText, Default: "the account's", Doc: "name of the author"},
		{Name: "author_email", Form: FormText, Default: "the account's", Doc: "address of the author"},
		{Name: "force", Form: FormBool, Default: "false", Doc: "overwrites branch by a commit on top of start_branch; needs at_least_once"},
		{Name: "at_least_once", Form: FormBool, Default: "false", Doc: "true: doing it twice is harmless"},
		{Name: "actions", Needed: true, Form: FormMappings, Of: "file_action", Most: maxFileActions, Doc: "what happens to files; no file twice"},
	},
})

var fileActionKeys = newKeyTable(Mapping{
	Name: "file_action", Where: "rules[].do[].commit.actions[]", Doc: "what a commit does to one file",
	Keys: []Key{
		{Name: "action", Needed: true, Form: FormWord, Words: []string{"create", "update", "delete", "move", "chmod"}, Doc: "what is done"},
		{Name: "file_path", Needed: true, Form: FormText, Doc: "path in the repository, without a slash before it"},
		{Name: "previous_path", Form: FormText, Doc: "of move: where the file is now"},
		{Name: "content", Form: FormText, Doc: "the whole file"},
		{Name: "encoding", Form: FormWord, Words: []string{"text", "base64"}, Default: "text", Doc: "how content is written"},
		{Name: "last_commit_id", Form: FormText, Default: "what is found while deciding", Doc: "the commit that changed the file last; the action fails if it is another one"},
		{Name: "execute_filemode", Form: FormBool, Filled: true, Doc: "of chmod: whether the file may be executed; chmod needs at_least_once"},
	},
	Cases: []Case{
		{Key: "action", Word: "create", Needs: []string{"content"}, Without: []string{"previous_path", "last_commit_id", "execute_filemode"}},
		{Key: "action", Word: "update", Needs: []string{"content"}, Without: []string{"previous_path", "execute_filemode"}},
		{Key: "action", Word: "delete", Without: []string{"previous_path", "content", "encoding", "execute_filemode"}},
		{Key: "action", Word: "move", Needs: []string{"previous_path"}, Without: []string{"execute_filemode"}},
		{Key: "action", Word: "chmod", Needs: []string{"execute_filemode"}, Without: []string{"previous_path", "content", "encoding", "last_commit_id"}},
	},
})

var buildKeys = newKeyTable(Mapping{
	Name: KindBuild, Where: "rules[].do[].build", Doc: "one run of a build task of CodeArts",
	Keys: []Key{
		{Name: "connection", Form: FormConnection, Default: DefaultConnection, Doc: "the account of the configuration that starts it"},
		{Name: "job_id", Needed: true, Form: FormText, Pattern: jobPattern, Doc: "the build task: 32 letters and digits, the end of the address of its page"},
		{Name: "commit", Form: FormText, Filled: true, Doc: "the whole id of the commit to build; not together with tag"},
		{Name: "tag", Form: FormText, Filled: true, Doc: "the tag to build; not together with commit"},
		{Name: "parameters", Form: FormParameters, Doc: "parameters of the run, each under its name"},
	},
})

var notifyKeys = newKeyTable(Mapping{
	Name: KindNotify, Where: "rules[].do[].notify", Doc: "a message to people",
	Keys: []Key{
		{Name: "to", Needed: true, Form: FormNames, Doc: "one target of the configuration, or several; no event chooses who is told"},
		{Name: "title", Needed: true, Form: FormText, Doc: "one line, up to 500 characters"},
		{Name: "text", Needed: true, Form: FormText, Doc: "markdown"},
		{Name: "link", Form: FormText, Doc: "an http or https address; \"\" is none"},
	},
})

var alertKeys = newKeyTable(Mapping{
	Name: KindAlert, Where: "rules[].do[].alert", Doc: "a countdown with memory",
	Keys: []Key{
		{Name: "key", Needed: true, Form: FormText, Doc: "what is counted down, 1 to 500 characters; the memory is kept under it"},
		{Name: "phase", Needed: true, Form: FormText, Doc: "the state the countdown runs in; a new phase starts a new ladder"},
		{Name: "countdown", Needed: true, Form: FormText, Pattern: `^-?[0-9]+$`, Doc: "days left, a number"},
		{Name: "at", Needed: true, Form: FormDays, Most: maxRungs, Doc: "the ladder: different days left, 0 to 3650"},
		{Name: "to", Needed: true, Form: FormNames, Doc: "one target of the configuration, or several"},
		{Name: "title", Needed: true, Form: FormText, Doc: "one line, up to 500 characters"},
		{Name: "text", Needed: true, Form: FormText, Doc: "markdown"},
		{Name: "link", Form: FormText, Doc: "an http or https address; \"\" is none"},
	},
})
