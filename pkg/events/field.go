package events

import (
	"iter"
	"strconv"
	"time"
)

// Field is a scalar of an event that a rule's match may name.
type Field uint8

// The fields, in the order of their names' parts. Their numbers are not stored anywhere
// and may change.
const (
	FieldType Field = iota
	FieldSource
	FieldRepositoryID
	FieldRepositoryPath
	FieldRepositoryName
	FieldRepositoryWebURL
	FieldRepositoryDefaultBranch
	FieldBranch
	FieldTag
	FieldBefore
	FieldAfter
	FieldAuthorName
	FieldAuthorUsername
	FieldAuthorEmail
	FieldMergeRequestTitle
	FieldMergeRequestState
	FieldMergeRequestAction
	FieldMergeRequestSourceBranch
	FieldMergeRequestTargetBranch
	FieldNoteKind
	FieldNoteAction
	FieldBuildJobID
	FieldBuildJobName
	FieldBuildOutcome
	FieldScheduleID
	FieldSchedulePattern

	// From here on their values are numbers: see [Field.Kind].

	FieldTotalCommits
	FieldMergeRequestIID
	FieldBuildDuration
	FieldTime
	FieldScheduleDue

	// NumFields is the number of fields, not a field.
	NumFields
)

var fieldNames = [NumFields]string{
	FieldType:                     "type",
	FieldSource:                   "source",
	FieldRepositoryID:             "repository.id",
	FieldRepositoryPath:           "repository.path",
	FieldRepositoryName:           "repository.name",
	FieldRepositoryWebURL:         "repository.web_url",
	FieldRepositoryDefaultBranch:  "repository.default_branch",
	FieldBranch:                   "branch",
	FieldTag:                      "tag",
	FieldBefore:                   "before",
	FieldAfter:                    "after",
	FieldAuthorName:               "author.name",
	FieldAuthorUsername:           "author.username",
	FieldAuthorEmail:              "author.email",
	FieldMergeRequestTitle:        "merge_request.title",
	FieldMergeRequestState:        "merge_request.state",
	FieldMergeRequestAction:       "merge_request.action",
	FieldMergeRequestSourceBranch: "merge_request.source_branch",
	FieldMergeRequestTargetBranch: "merge_request.target_branch",
	FieldNoteKind:                 "note.kind",
	FieldNoteAction:               "note.action",
	FieldBuildJobID:               "build.job_id",
	FieldBuildJobName:             "build.job_name",
	FieldBuildOutcome:             "build.outcome",
	FieldScheduleID:               "schedule.id",
	FieldSchedulePattern:          "schedule.pattern",
	FieldTotalCommits:             "total_commits",
	FieldMergeRequestIID:          "merge_request.iid",
	FieldBuildDuration:            "build.duration",
	FieldTime:                     "time",
	FieldScheduleDue:              "schedule.due",
}

// FieldKind is what the values of a field are.
type FieldKind uint8

// The kinds of fields.
const (
	KindText   FieldKind = iota // text
	KindNumber                  // a whole number
	KindTime                    // a point in time, to the microsecond
)

// firstNumber is the first field that is not of KindText, firstTime the first of KindTime; the
// others of each kind follow.
const (
	firstNumber = FieldTotalCommits
	firstTime   = FieldTime
)

// Kind is what the field's values are.
func (f Field) Kind() FieldKind {
	switch {
	case f < firstNumber:
		return KindText
	case f < firstTime:
		return KindNumber
	}
	return KindTime
}

// ParseNumber reads a value of a field that is not of [KindText]: digits, or a time in RFC 3339,
// which becomes microseconds since 1970.
func (f Field) ParseNumber(text string) (n int64, ok bool) {
	if f.Kind() == KindTime {
		at, err := time.Parse(time.RFC3339Nano, text)
		return at.UnixMicro(), err == nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// FormatNumber writes such a value as people do.
func (f Field) FormatNumber(n int64) string {
	if f.Kind() == KindTime {
		return time.UnixMicro(n).UTC().Format(time.RFC3339Nano)
	}
	return strconv.FormatInt(n, 10)
}

// String is the field's name in rules, such as "repository.path". It is "" for a number
// that is no field.
func (f Field) String() string {
	if f >= NumFields {
		return ""
	}
	return fieldNames[f]
}

// FieldByName finds the field with that name, exactly as [Field.String] spells it.
func FieldByName(name string) (Field, bool) {
	for f, n := range fieldNames {
		if n == name {
			return Field(f), true
		}
	}
	return 0, false
}

// Fields lists all fields in the order of their numbers.
func Fields() []Field {
	all := make([]Field, NumFields)
	for i := range all {
		all[i] = Field(i)
	}
	return all
}

// Flat holds the scalar fields of one event for the index that matches rules. The zero
// value has none set. An absent field and an empty one differ.
type Flat struct {
	texts   [firstNumber]string
	numbers [NumFields - firstNumber]int64
	set     uint64
}

// The set of present fields is one word.
const _ = uint64(1) << NumFields

// Has reports whether the event has the field.
func (f *Flat) Has(field Field) bool { return field < NumFields && f.set&(1<<field) != 0 }

// Get returns the value of field as text and whether the event has one.
func (f *Flat) Get(field Field) (string, bool) {
	switch {
	case !f.Has(field):
		return "", false
	case field >= firstNumber:
		return field.FormatNumber(f.numbers[field-firstNumber]), true
	}
	return f.texts[field], true
}

// Number returns the value of a field that is not of [KindText] and whether the event has one: a
// number, or a time in microseconds since 1970.
func (f *Flat) Number(field Field) (int64, bool) {
	if field < firstNumber || !f.Has(field) {
		return 0, false
	}
	return f.numbers[field-firstNumber], true
}

// Set gives field a value. One that [Field.ParseNumber] cannot read and a number that is no field
// are ignored.
func (f *Flat) Set(field Field, value string) {
	switch {
	case field >= NumFields:
	case field >= firstNumber:
		if n, ok := field.ParseNumber(value); ok {
			f.SetNumber(field, n)
		}
	default:
		f.texts[field] = value
		f.set |= 1 << field
	}
}

// SetNumber gives a field that is not of [KindText] a value. Other fields are left as they are.
func (f *Flat) SetNumber(field Field, n int64) {
	if field >= firstNumber && field < NumFields {
		f.numbers[field-firstNumber] = n
		f.set |= 1 << field
	}
}

// All yields the fields that are set and their values, in the order of their numbers.
func (f *Flat) All() iter.Seq2[Field, string] {
	return func(yield func(Field, string) bool) {
		for field := range NumFields {
			if v, ok := f.Get(field); ok && !yield(field, v) {
				return
			}
		}
	}
}

func (f *Flat) setPtr(field Field, value *string) {
	if value != nil {
		f.Set(field, *value)
	}
}

func (f *Flat) setNumber(field Field, n *int64) {
	if n != nil {
		f.SetNumber(field, *n)
	}
}

// Flat collects the scalar fields of the view.
func (v *View) Flat() Flat {
	var f Flat
	f.Set(FieldType, v.Type)
	f.Set(FieldSource, v.Source)
	f.Set(FieldTime, v.Time)
	f.setNumber(FieldTotalCommits, v.TotalCommits)
	f.setPtr(FieldBranch, v.Branch)
	f.setPtr(FieldTag, v.Tag)
	f.setPtr(FieldBefore, v.Before)
	f.setPtr(FieldAfter, v.After)
	if r := v.Repository; r != nil {
		f.setPtr(FieldRepositoryID, r.ID)
		f.setPtr(FieldRepositoryPath, r.Path)
		f.setPtr(FieldRepositoryName, r.Name)
		f.setPtr(FieldRepositoryWebURL, r.WebURL)
		f.setPtr(FieldRepositoryDefaultBranch, r.DefaultBranch)
	}
	if a := v.Author; a != nil {
		f.setPtr(FieldAuthorName, a.Name)
		f.setPtr(FieldAuthorUsername, a.Username)
		f.setPtr(FieldAuthorEmail, a.Email)
	}
	if m := v.MergeRequest; m != nil {
		f.setNumber(FieldMergeRequestIID, m.IID)
		f.setPtr(FieldMergeRequestTitle, m.Title)
		f.setPtr(FieldMergeRequestState, m.State)
		f.setPtr(FieldMergeRequestAction, m.Action)
		f.setPtr(FieldMergeRequestSourceBranch, m.SourceBranch)
		f.setPtr(FieldMergeRequestTargetBranch, m.TargetBranch)
	}
	if n := v.Note; n != nil {
		f.setPtr(FieldNoteKind, n.Kind)
		f.setPtr(FieldNoteAction, n.Action)
	}
	if b := v.Build; b != nil {
		f.setNumber(FieldBuildDuration, b.Duration)
		f.setPtr(FieldBuildJobID, b.JobID)
		f.setPtr(FieldBuildJobName, b.JobName)
		f.setPtr(FieldBuildOutcome, b.Outcome)
	}
	if s := v.Schedule; s != nil {
		f.setPtr(FieldScheduleID, s.ID)
		f.setPtr(FieldSchedulePattern, s.Pattern)
		f.setPtr(FieldScheduleDue, s.Due)
	}
	return f
}
