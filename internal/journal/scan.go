package journal

import (
	"bytes"
	"errors"
	"io"
)

// readAhead is how much of a segment is read at once, in bytes.
const readAhead = 256 << 10

// scanner finds the records of a segment, one after the other. What is not whole is passed over, byte by byte if need be, until a whole
// record begins again.
type scanner struct {
	from io.ReaderAt
	salt uint64
	off  int64 // where to go on
	end  int64 // where to stop

	window   []byte // what was read of the segment…
	windowAt int64  // … from here
	// lost counts the bytes that belong to no whole record and have one behind them: they were a record once.
	lost int64
	// torn counts those behind the last whole record: what a crash has left of a write that nobody was promised.
	torn int64
}

// next is the next whole record: where it begins, and what follows its header, good until the following call. io.EOF when there is none.
// Any other error is one of reading.
func (s *scanner) next() (at int64, payload []byte, err error) {
	passed := int64(0)
	for s.off < s.end {
		payload, skip, err := s.whole()
		switch {
		case err != nil:
			return 0, nil, err
		case payload != nil:
			at = s.off
			s.off += skip
			s.lost += passed
			return at, payload, nil
		case skip == 0:
			if skip, err = s.nextMark(); err != nil {
				return 0, nil, err
			}
		}
		s.off += skip
		passed += skip
	}
	s.torn = passed
	return 0, nil, io.EOF
}

// whole is the record that begins here and its size, nil if there is none. skip is then the size of one whose header is whole and whose
// event is not, or 0.
func (s *scanner) whole() (payload []byte, skip int64, err error) {
	header, err := s.bytes(s.off, recordHeader)
	if err != nil || header == nil {
		return nil, 0, err
	}
	length, sum, ok := readHeader(header, s.salt)
	if !ok {
		return nil, 0, nil
	}
	record, err := s.bytes(s.off, recordHeader+length)
	if err != nil || record == nil {
		return nil, 0, err
	}
	if payload = record[recordHeader:]; checksum(payload) != sum {
		return nil, int64(len(record)), nil
	}
	return payload, int64(len(record)), nil
}

// nextMark is how far it is to the next place where a record could begin, or to the end.
func (s *scanner) nextMark() (int64, error) {
	rest := s.end - s.off
	if rest <= recordHeader {
		return rest, nil
	}
	ahead, err := s.bytes(s.off, int(min(rest, readAhead)))
	if err != nil {
		return 0, err
	}
	if i := bytes.Index(ahead[1:], []byte(recordMark)); i >= 0 {
		return int64(i) + 1, nil
	}
	if int64(len(ahead)) == rest {
		return rest, nil
	}
	return int64(len(ahead) - len(recordMark) + 1), nil // a mark may lie across
}

// bytes are n bytes of the segment from off, nil if it ends before.
func (s *scanner) bytes(off int64, n int) ([]byte, error) {
	if off+int64(n) > s.end {
		return nil, nil
	}
	if off < s.windowAt || off+int64(n) > s.windowAt+int64(len(s.window)) {
		size := int(min(int64(max(n, readAhead)), s.end-off))
		if cap(s.window) < size {
			s.window = make([]byte, size)
		}
		s.window, s.windowAt = s.window[:size], off
		got, err := s.from.ReadAt(s.window, off)
		s.window = s.window[:got]
		if got < n {
			s.window = s.window[:0]
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	begin := off - s.windowAt
	return s.window[begin : begin+int64(n)], nil
}
