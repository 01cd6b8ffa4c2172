package rules

import (
	"math"

	"github.com/millrace/millrace/pkg/events"
)

// accessKey is a property of an event that leads to rules: a value, or the beginning or end of one.
type accessKey struct {
	field  events.Field
	value  uint32 // 0 for an affix
	suffix bool
	text   string
}

// branch is the rules that hang below one key of a node.
type branch struct {
	key    accessKey
	places []place
}

// divide hangs each place below the keys of its most selective demand. Those that have none stay.
func (b *indexBuilder) divide(places []place) (stay []place, branches []*branch) {
	d := division{indexBuilder: b, crowd: map[accessKey]int{}, below: map[accessKey]*branch{}}
	for _, p := range places {
		for i := range b.entries[p.entry].demands {
			if d.usable(p, i) {
				d.count(&b.entries[p.entry].demands[i])
			}
		}
	}
	for _, p := range places {
		if best := d.best(p); best >= 0 {
			d.hang(p, best)
		} else {
			stay = append(stay, p)
		}
	}
	return stay, d.branches
}

// division is the rules of a node being divided.
type division struct {
	*indexBuilder
	crowd    map[accessKey]int // how many places share each key
	below    map[accessKey]*branch
	branches []*branch // in the order of their first rules
}

// usable reports whether the i-th demand of the place can lead on from here.
func (d *division) usable(p place, i int) bool {
	if i >= maxAccess || p.used&(1<<i) != 0 {
		return false
	}
	n := d.entries[p.entry].demands[i].alternatives()
	return n > 0 && (p.copies == 1 || n <= maxCopies/int(p.copies))
}

func (d *division) count(dem *demand) {
	for _, v := range dem.any.exact {
		d.crowd[accessKey{field: dem.field, value: v}]++
	}
	for _, g := range dem.any.globs {
		if g.prefix != "" {
			d.crowd[prefixKey(dem.field, g)]++
		}
		if g.suffix != "" {
			d.crowd[suffixKey(dem.field, g)]++
		}
	}
}

func prefixKey(f events.Field, g pattern) accessKey { return accessKey{field: f, text: g.prefix} }

func suffixKey(f events.Field, g pattern) accessKey {
	return accessKey{field: f, text: g.suffix, suffix: true}
}

// globKey is the more selective affix of a glob; ok is false if it has none.
func (d *division) globKey(f events.Field, g pattern) (k accessKey, ok bool) {
	prefix, suffix := prefixKey(f, g), suffixKey(f, g)
	if g.prefix != "" && (g.suffix == "" || d.crowd[prefix] <= d.crowd[suffix]) {
		return prefix, true
	}
	return suffix, g.suffix != ""
}

// best is the demand of the place whose most crowded key is the least crowded; of equals the one with the fewest keys,
// then the first. It is -1 if no demand can lead on.
func (d *division) best(p place) int {
	best, least, fewest := -1, math.MaxInt, 0
	for i := range d.entries[p.entry].demands {
		if !d.usable(p, i) {
			continue
		}
		dem := &d.entries[p.entry].demands[i]
		worst := 0
		for _, v := range dem.any.exact {
			worst = max(worst, d.crowd[accessKey{field: dem.field, value: v}])
		}
		for _, g := range dem.any.globs {
			k, ok := d.globKey(dem.field, g)
			if !ok {
				worst = math.MaxInt
				break
			}
			worst = max(worst, d.crowd[k])
		}
		n := dem.alternatives()
		if worst < least || worst == least && worst < math.MaxInt && n < fewest {
			best, least, fewest = i, worst, n
		}
	}
	return best
}

// hang puts the place below every key of its i-th demand, all of whose globs have one.
func (d *division) hang(p place, i int) {
	dem := &d.entries[p.entry].demands[i]
	p.used |= 1 << i
	p.copies *= int32(dem.alternatives())
	for _, g := range dem.any.globs {
		k, _ := d.globKey(dem.field, g)
		d.add(k, p)
	}
	p.proven |= 1 << i
	for _, v := range dem.any.exact {
		d.add(accessKey{field: dem.field, value: v}, p)
	}
}

func (d *division) add(k accessKey, p place) {
	br := d.below[k]
	if br == nil {
		br = &branch{key: k}
		d.below[k] = br
		d.branches = append(d.branches, br)
	}
	if last := len(br.places) - 1; last >= 0 && br.places[last].entry == p.entry {
		return // two globs of one list with the same affix
	}
	br.places = append(br.places, p)
}
