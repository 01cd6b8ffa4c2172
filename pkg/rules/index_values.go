package rules

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/millrace/millrace/pkg/events"
)

// valueTable numbers the exact values that rules name, so that comparing a value with what many rules want of it costs one
// look-up and then no more than comparing numbers.
type valueTable struct {
	seed  maphash.Seed
	slots []valueSlot // open addressing, a power of two in number, at most half full
	named []namedValue
}

// valueSlot refers to a named value; number 0 is an empty slot.
type valueSlot struct{ hash, number uint32 }

// namedValue is a value of a field.
type namedValue struct {
	text  string
	field events.Field
	node  uint32 // where it leads from the root of the index, 0 for nowhere
}

// Numbers of values. Those that rules name begin at firstValue.
const (
	notLookedUp uint32 = iota
	absentValue        // the event has no such field
	otherValue         // no rule names it
	firstValue
)

func newValueTable() valueTable {
	return valueTable{seed: maphash.MakeSeed(), slots: make([]valueSlot, 16), named: make([]namedValue, firstValue)}
}

// numberKey is the text that stands for a number in the table.
func numberKey(n int64) (key [8]byte) {
	binary.BigEndian.PutUint64(key[:], uint64(n))
	return key
}

// number is the number of the value, otherValue if no rule names it.
func (vs *valueTable) number(field events.Field, text string) uint32 {
	hash := vs.hash(field, text)
	mask := uint32(len(vs.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		s := vs.slots[at]
		if s.number == 0 {
			return otherValue
		}
		if s.hash == hash {
			if n := &vs.named[s.number]; n.field == field && n.text == text {
				return s.number
			}
		}
	}
}

// add names a value and returns its number, the same for the same value.
func (vs *valueTable) add(field events.Field, text string) uint32 {
	if v := vs.number(field, text); v != otherValue {
		return v
	}
	if 2*len(vs.named) >= len(vs.slots) {
		old := vs.slots
		vs.slots = make([]valueSlot, 2*len(old))
		for _, s := range old {
			if s.number != 0 {
				vs.put(s)
			}
		}
	}
	v := uint32(len(vs.named))
	vs.named = append(vs.named, namedValue{text: text, field: field})
	vs.put(valueSlot{vs.hash(field, text), v})
	return v
}

func (vs *valueTable) put(s valueSlot) {
	mask := uint32(len(vs.slots) - 1)
	at := s.hash & mask
	for vs.slots[at].number != 0 {
		at = (at + 1) & mask
	}
	vs.slots[at] = s
}

// hash tells the same text of different fields apart.
func (vs *valueTable) hash(field events.Field, text string) uint32 {
	h := maphash.String(vs.seed, text) + uint64(field)*0x9E3779B97F4A7C15
	return uint32(h ^ h>>32)
}
