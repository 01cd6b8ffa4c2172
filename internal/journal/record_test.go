package journal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
)

func TestRecordKeepsTheEventWhole(t *testing.T) {
	for name, e := range map[string]*events.Event{
		"plain":     event("shop/1"),
		"empty":     {Time: time.Unix(0, 0).UTC(), Body: []byte{}},
		"any bytes": {ID: "a/\x00\xff\n", Source: "ü", Type: strings.Repeat("t", 300), Repository: "\"", Time: time.Unix(-5, 999_999_999).UTC(), Body: []byte("\x00MRJ1\xff")},
		"largest":   {ID: "shop/1", Time: time.Unix(1, 0).UTC(), Body: bytes.Repeat([]byte("x"), events.MaxBody)},
	} {
		record, err := appendRecord(nil, e)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		seal(record, 7)
		length, sum, ok := readHeader(record, 7)
		if !ok || length != len(record)-recordHeader || sum != checksum(record[recordHeader:]) {
			t.Fatalf("%s: the header reads %d, %t", name, length, ok)
		}
		if _, _, ok := readHeader(record, 8); ok {
			t.Errorf("%s: the header reads with another salt", name)
		}
		got, err := readEvent(record[recordHeader:])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !cmp.Equal(e, got) { // a Diff of the largest takes seconds
			t.Errorf("%s: %.200v became %.200v", name, e, got)
		}
	}
	buf := []byte("before")
	if after, err := appendRecord(buf, &events.Event{Body: make([]byte, maxRecord)}); err == nil || string(after) != "before" {
		t.Errorf("a record over the limit: %d bytes, %v", len(after), err)
	}
}

// image is a segment's file: the records, where each begins, and the ids.
func image(t testing.TB, salt uint64, ids ...string) (data []byte, begins []int) {
	t.Helper()
	for _, id := range ids {
		begins = append(begins, len(data))
		record, err := appendRecord(nil, event(id))
		if err != nil {
			t.Fatal(err)
		}
		seal(record, salt)
		data = append(data, record...)
	}
	return data, begins
}

// scanned are the ids that a scanner finds.
func scanned(t testing.TB, data []byte, salt uint64) (found []string, s *scanner) {
	t.Helper()
	s = &scanner{from: bytes.NewReader(data), salt: salt, end: int64(len(data))}
	for {
		_, payload, err := s.next()
		if errors.Is(err, io.EOF) {
			return found, s
		}
		if err != nil {
			t.Fatal(err)
		}
		e, err := readEvent(payload)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, e.ID)
	}
}

// TestTornAtEveryByte: whatever is left of a file, every whole record is found and the rest is told.
func TestTornAtEveryByte(t *testing.T) {
	all := ids("e", 4)
	data, begins := image(t, 42, all...)
	for size := range len(data) + 1 {
		whole := 0
		for i := range all {
			if i+1 < len(begins) && begins[i+1] <= size || size == len(data) {
				whole++
			}
		}
		begin := 0
		if whole < len(begins) {
			begin = begins[whole]
		} else {
			begin = len(data)
		}
		got, s := scanned(t, data[:size], 42)
		if diff := cmp.Diff(all[:whole], got, cmp.Transformer("", func(v []string) string { return strings.Join(v, " ") })); diff != "" {
			t.Fatalf("cut at %d (-want +got):\n%s", size, diff)
		}
		if s.lost != 0 || s.torn != int64(size-begin) {
			t.Fatalf("cut at %d: lost %d, torn %d, want torn %d", size, s.lost, s.torn, size-begin)
		}
		// A write may leave zeros where the rest should be.
		zeros := append(bytes.Clone(data[:size]), make([]byte, 5000)...)
		if got, _ := scanned(t, zeros, 42); len(got) < whole || len(got) > whole+1 || strings.Join(got[:whole], " ") != strings.Join(all[:whole], " ") {
			t.Fatalf("cut at %d and zeros: %v", size, got)
		}
	}
}

// TestEveryFlippedBit: a flipped bit costs the record it is in, which is told, and no other.
func TestEveryFlippedBit(t *testing.T) {
	all := ids("e", 4)
	data, begins := image(t, 42, all...)
	for at := range data {
		hit := len(begins) - 1
		for begins[hit] > at {
			hit--
		}
		want := strings.Join(append(append([]string{}, all[:hit]...), all[hit+1:]...), " ")
		for bit := range 8 {
			data[at] ^= 1 << bit
			got, s := scanned(t, data, 42)
			if strings.Join(got, " ") != want {
				t.Fatalf("bit %d of byte %d: found %v", bit, at, got)
			}
			if s.lost+s.torn != int64(len(data)/len(all)) {
				t.Fatalf("bit %d of byte %d: lost %d, torn %d", bit, at, s.lost, s.torn)
			}
			data[at] ^= 1 << bit
		}
	}
}

// TestForgedRecord: a body that is made like records is no record, wherever reading begins again.
func TestForgedRecord(t *testing.T) {
	forged, _ := image(t, 0, "shop/forged")
	e := event("shop/real")
	e.Body = append([]byte("xxxx"), forged...)
	record, err := appendRecord(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	seal(record, 42)
	last, _ := image(t, 42, "shop/last")
	data := append(bytes.Clone(record), last...)
	data[4] ^= 1 // the length of the first
	if got, s := scanned(t, data, 42); len(got) != 1 || got[0] != "shop/last" || s.lost != int64(len(record)) {
		t.Errorf("found %v, lost %d", got, s.lost)
	}
}

// TestLongDamage: reading begins again behind damage that is longer than what is read at once, also when the mark lies across.
func TestLongDamage(t *testing.T) {
	first, _ := image(t, 42, "shop/first")
	last, _ := image(t, 42, "shop/last")
	for _, gap := range []int{readAhead - len(first) - 6, readAhead - 4, readAhead - 3, readAhead - 2, readAhead - 1, readAhead, 3*readAhead + 1} {
		for shift := range 12 {
			data := append(bytes.Clone(first), bytes.Repeat([]byte("M"), gap+shift)...)
			data = append(data, last...)
			if got, s := scanned(t, data, 42); strings.Join(got, " ") != "shop/first shop/last" || s.lost != int64(gap+shift) || s.torn != 0 {
				t.Fatalf("gap %d: found %v, lost %d, torn %d", gap+shift, got, s.lost, s.torn)
			}
		}
	}
}

func TestShortRead(t *testing.T) {
	data, _ := image(t, 42, "shop/1", "shop/2")
	s := &scanner{from: bytes.NewReader(data[:len(data)-10]), salt: 42, end: int64(len(data))}
	_, _, err := s.next()
	for err == nil {
		_, _, err = s.next()
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file shorter than it was: %v", err)
	}
}

func TestNames(t *testing.T) {
	s := newSegment(17, time.Now())
	if number, salt, ok := parseName(s.name); !ok || number != 17 || salt != s.salt {
		t.Errorf("%s reads as %d, %x, %t", s.name, number, salt, ok)
	}
	for _, name := range []string{
		"", ".journal", "lock", "1-2.journal", s.name + "x", "x" + s.name, "000000000000001G-0000000000000001.journal",
		"0000000000000001_0000000000000001.journal", "00000000000000FF-0000000000000001.journal", "+000000000000001-0000000000000001.journal",
	} {
		if _, _, ok := parseName(name); ok {
			t.Errorf("%q reads as a name", name)
		}
	}
}

// FuzzSegment: whatever a file holds, reading it ends, and what it finds is what was written.
func FuzzSegment(f *testing.F) {
	data, _ := image(f, 42, "shop/1", "shop/2", "shop/3")
	f.Add(data, 0, []byte{})
	f.Add(data, 30, []byte("MRJ1"))
	f.Add(data[:100], 99, []byte{0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte("MRJ1MRJ1MRJ1MRJ1MRJ1"), 3, []byte("M"))
	f.Fuzz(func(t *testing.T, data []byte, at int, patch []byte) {
		name := filepath.Join(t.TempDir(), "0000000000000001-000000000000002a.journal")
		if at >= 0 && at < len(data) {
			data = bytes.Clone(data)
			copy(data[at:], patch)
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		all, strange, err := find(&folder{path: filepath.Dir(name)}, time.Now())
		if err != nil || len(strange) != 0 || len(all) != 1 {
			t.Fatalf("%v, %v, %v", all, strange, err)
		}
		found := all[0]
		s := &scanner{from: bytes.NewReader(data), salt: 42, end: int64(len(data))}
		sum, n := int64(0), 0
		for {
			at, payload, err := s.next()
			if err != nil {
				break
			}
			if n++; !bytes.Equal(data[at+recordHeader:at+recordHeader+int64(len(payload))], payload) {
				t.Fatal("what is found is not what is there")
			}
			sum += recordHeader + int64(len(payload))
			if e, err := readEvent(payload); err == nil {
				again, err := appendRecord(nil, e)
				if err != nil {
					t.Fatal(err)
				}
				if second, err := readEvent(again[recordHeader:]); err != nil || !cmp.Equal(e, second) {
					t.Fatalf("%+v became %+v, %v", e, second, err)
				}
			}
		}
		if sum+s.lost+s.torn != int64(len(data)) || n != found.events || found.synced != int64(len(data))-s.torn {
			t.Fatalf("%d in records, %d lost, %d torn, of %d; %d events, found %d in %d", sum, s.lost, s.torn, len(data), n, found.events, found.synced)
		}
	})
}

// FuzzEvent: nothing that follows a header makes reading it fail badly.
func FuzzEvent(f *testing.F) {
	data, _ := image(f, 42, "shop/1")
	f.Add(data[recordHeader:])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := readEvent(data); err == nil && len(e.ID)+len(e.Body) > len(data) {
			t.Errorf("%d bytes out of %d", len(e.ID)+len(e.Body), len(data))
		}
	})
}
