package codearts

import (
	"testing"
	"time"
)

// The vectors of RFC 6238, appendix B (SHA-1), of whose eight digits devices show the last six.
func TestPasscodeVectors(t *testing.T) {
	key := []byte("12345678901234567890")
	for seconds, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := passcode(key, passcodeNumber(time.Unix(seconds, 0))); got != want {
			t.Errorf("at %d: %s, want %s", seconds, got, want)
		}
	}
}

func TestSeed(t *testing.T) {
	for seed, want := range map[string]string{
		"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ":        "12345678901234567890",
		"gezd gnbv gy3t qojq gezd gnbv gy3t qojq": "12345678901234567890",
		"MFRGG===": "abc",
	} {
		got, err := MFA{Seed: NewSecret(seed)}.key()
		if err != nil || string(got) != want {
			t.Errorf("%q is %q, %v", seed, got, err)
		}
	}
	for _, seed := range []string{"", "123456", "not base32!", "===="} {
		if key, err := (MFA{UserID: "u", Seed: NewSecret(seed)}).key(); err == nil {
			t.Errorf("%q is %q", seed, key)
		}
	}
}
