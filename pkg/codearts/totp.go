package codearts

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// MFA is the virtual MFA device of an IAM user, for accounts that ask for a passcode when they sign in.
type MFA struct {
	UserID string // the user's id (32 characters), not its name
	Seed   Secret // what was shown as secret key when the device was bound: base32; spaces and case do not matter
}

// passcodeStep is how long a passcode is good.
const passcodeStep = 30 * time.Second

func (m MFA) used() bool { return m.UserID != "" || !m.Seed.Empty() }

// key returns the key of the passcodes. Its error does not repeat the seed.
func (m MFA) key() ([]byte, error) {
	seed := strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "=", "").Replace(m.Seed.Reveal()))
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(seed)
	if err != nil || len(key) == 0 {
		return nil, errors.New("codearts: the MFA seed is not base32: it is the key that was shown when the device was bound, not a passcode")
	}
	return key, nil
}

// passcodeNumber is the number of the step a time lies in.
func passcodeNumber(at time.Time) int64 { return at.Unix() / int64(passcodeStep/time.Second) }

// passcodeStart is when a step begins.
func passcodeStart(number int64) time.Time {
	return time.Unix(number*int64(passcodeStep/time.Second), 0)
}

// passcode is the passcode of a step, as RFC 6238 has it: HMAC-SHA-1, six digits.
func passcode(key []byte, number int64) string {
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, number)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:at+4])&0x7fffffff%1_000_000)
}
