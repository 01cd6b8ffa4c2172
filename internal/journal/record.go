package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// A record is a header and an event. All numbers are little-endian, all checksums CRC-32C:
//
//	 0  "MRJ1", the mark and version
//	 4  length of the event in bytes
//	 8  checksum of the event
//	12  checksum of the salt of the segment and the 12 bytes before
//	16  the event: each of id, source, type and repository as its length (uvarint) and its bytes, the time as seconds (varint)
//	    and nanoseconds (uvarint) since 1970, and the rest is the body
//
// The salt is in the name of the segment's file. No sender knows it, so none can write a body that reads as a record.
const (
	recordMark   = "MRJ1"
	recordHeader = 16
	// maxRecord is the largest record, in bytes: what comes larger is not one of ours.
	maxRecord = events.MaxBody + 256<<10
)

func checksum(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

// appendRecord adds the record of an event to buf, but for the checksum of its header, which seal adds.
func appendRecord(buf []byte, e *events.Event) ([]byte, error) {
	start := len(buf)
	buf = append(buf, recordMark...)
	buf = append(buf, make([]byte, recordHeader-len(recordMark))...)
	for _, text := range [...]string{e.ID, e.Source, e.Type, e.Repository} {
		buf = binary.AppendUvarint(buf, uint64(len(text)))
		buf = append(buf, text...)
	}
	buf = binary.AppendVarint(buf, e.Time.Unix())
	buf = binary.AppendUvarint(buf, uint64(e.Time.Nanosecond()))
	buf = append(buf, e.Body...)
	if size := len(buf) - start; size > maxRecord {
		return buf[:start], fmt.Errorf("event of %d bytes is over the journal's limit of %d", size, maxRecord)
	}
	payload := buf[start+recordHeader:]
	binary.LittleEndian.PutUint32(buf[start+4:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(buf[start+8:], checksum(payload))
	return buf, nil
}

// seal completes the header of a record for a segment.
func seal(record []byte, salt uint64) {
	binary.LittleEndian.PutUint32(record[12:], headerSum(record, salt))
}

func headerSum(header []byte, salt uint64) uint32 {
	var salted [8 + 12]byte
	binary.LittleEndian.PutUint64(salted[:], salt)
	copy(salted[8:], header[:12])
	return checksum(salted[:])
}

// readHeader is the length of the event and its checksum. ok is false if these bytes are no header of the segment.
func readHeader(header []byte, salt uint64) (length int, sum uint32, ok bool) {
	if string(header[:4]) != recordMark || binary.LittleEndian.Uint32(header[12:]) != headerSum(header, salt) {
		return 0, 0, false
	}
	size := binary.LittleEndian.Uint32(header[4:])
	return int(size), binary.LittleEndian.Uint32(header[8:]), size <= maxRecord-recordHeader
}

var errNoEvent = errors.New("the record is whole and holds no event that this version can read")

// readEvent takes apart what follows the header of a record. The body is not copied.
func readEvent(p []byte) (*events.Event, error) {
	var texts [4]string
	for i := range texts {
		size, n := binary.Uvarint(p)
		if n <= 0 || size > uint64(len(p)-n) {
			return nil, errNoEvent
		}
		texts[i] = string(p[n : n+int(size)])
		p = p[n+int(size):]
	}
	seconds, n := binary.Varint(p)
	if n <= 0 {
		return nil, errNoEvent
	}
	nanos, m := binary.Uvarint(p[n:])
	if m <= 0 || nanos >= uint64(time.Second) {
		return nil, errNoEvent
	}
	return &events.Event{
		ID: texts[0], Source: texts[1], Type: texts[2], Repository: texts[3],
		Time: time.Unix(seconds, int64(nanos)).UTC(), Body: bytes.Clone(p[n+m:]),
	}, nil
}
