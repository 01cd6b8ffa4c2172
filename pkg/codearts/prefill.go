package codearts

import (
	"math"
	"reflect"
)

const (
	// absentText is a text that no JSON decodes to: what is not UTF-8 becomes U+FFFD.
	absentText = "\xff"
	// absentInt is a number nothing of CodeArts has.
	absentInt = math.MinInt64
)

// prefill points every nullable text and number of a struct at one piece of memory each, which takes two allocations for all of them. The
// decoder writes where the pointers point and sets those to nil that are null; settle does so with those it never met.
func prefill(target any) {
	v := reflect.ValueOf(target).Elem()
	texts, ints := make([]string, 0, v.NumField()), make([]Int, 0, 4)
	next := func() *string {
		texts = append(texts, absentText)
		return &texts[len(texts)-1]
	}
	for i := range v.NumField() {
		switch field := v.Field(i).Addr().Interface().(type) {
		case **string:
			*field = next()
		case **Text:
			*field = (*Text)(next())
		case **ProjectID:
			*field = (*ProjectID)(next())
		case **Int:
			if len(ints) < cap(ints) {
				ints = append(ints, absentInt)
				*field = &ints[len(ints)-1]
			}
		}
	}
}

// settle makes null what prefill filled and the decoder did not touch; false when it touched none.
func settle(target any) (touched bool) {
	v := reflect.ValueOf(target).Elem()
	for i := range v.NumField() {
		switch field := v.Field(i).Addr().Interface().(type) {
		case **string:
			touched = drop(field, absentText) || touched
		case **Text:
			touched = drop(field, absentText) || touched
		case **ProjectID:
			touched = drop(field, absentText) || touched
		case **Int:
			touched = drop(field, absentInt) || touched
		}
	}
	return touched
}

// drop makes a field null that was not touched. One that is null already was.
func drop[T comparable](field **T, absent T) (touched bool) {
	if *field != nil && **field == absent {
		*field = nil
		return false
	}
	return true
}
