package codearts

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// scopedToken says which token CodeArts takes. One of a whole account (scope.domain) is what many get first.
const scopedToken = "use a token scoped to the region's IAM project (X-Subject-Token of POST /v3/auth/tokens with scope.project, not scope.domain)"

// aboutScope reports whether a refusal speaks of the scope of a token.
func aboutScope(e *APIError) bool {
	return e.Status >= 400 && e.Status < 500 && strings.Contains(strings.ToLower(e.Message), "scope")
}

// permissionHint says which permission somebody lacks whom the service knows, and refuses.
func permissionHint(op *Operation, e *APIError, who string) string {
	if strings.HasPrefix(e.Code, "APIGW.") {
		who += " may not use CodeArts in this region: give it a policy that allows it, and make it a member of the CodeArts project"
		return who
	}
	switch {
	case op.Service == ServiceRepo && op.Writes:
		return who + " needs a role in the repository that may write: commit to this branch (is it protected?), or manage its settings"
	case op.Service == ServiceRepo:
		return who + " has to be a member of the repository, or of its group or project, with a role that may read its code"
	case op.Writes:
		return who + " needs is_execute in the task's permission matrix, and a role in the CodeArts project"
	default:
		return who + " needs is_view in the task's permission matrix, and a role in the CodeArts project"
	}
}

// serverTime is the time by the clock of the other side, in whole seconds; zero when the answer does not tell.
func serverTime(h http.Header) time.Time {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at
}

func (s *staticSigner) hint(op *Operation, e *APIError, _ time.Time) string {
	switch {
	case aboutScope(e), errors.Is(e, ErrForbidden) && strings.HasPrefix(e.Code, "APIGW."):
		return scopedToken
	case errors.Is(e, ErrUnauthorized):
		return "the token has ended (they live a day), was not copied whole, or is of another region: " + scopedToken
	case errors.Is(e, ErrForbidden):
		return permissionHint(op, e, "the token's user")
	}
	return ""
}

func (s *tokenSigner) hint(op *Operation, e *APIError, _ time.Time) string {
	switch {
	case aboutScope(e), errors.Is(e, ErrUnauthorized):
		return scopedToken + ": set the IAM project of the region, as a rule named like it, and an IAM host of that region"
	case errors.Is(e, ErrForbidden):
		return permissionHint(op, e, "the IAM user")
	}
	return ""
}

// signInHint says what to look at when IAM gives no token.
func (s *tokenSource) signInHint(e *APIError) string {
	switch {
	case errors.Is(e, ErrUnauthorized) && s.codeKey != nil:
		return "check the IAM user, the name of its account, the password, the user's id and the MFA seed, and this machine's clock; another process may have used the same passcode"
	case errors.Is(e, ErrUnauthorized):
		return "check the IAM user, the name of its account (not of the user) and the password; a user with an MFA device needs MFA"
	case errors.Is(e, ErrForbidden), errors.Is(e, ErrNotFound):
		return "check the IAM project: by name, as a rule that of the region, or by the id under My Credentials, which is not that of a CodeArts project"
	}
	return ""
}

// hint is about the clock, as far as the answer tells: a signature that is too old looks like any other wrong one.
func (s *requestSigner) hint(op *Operation, e *APIError, theirs time.Time) string {
	switch {
	case errors.Is(e, ErrForbidden) && s.key.ProjectID == "":
		return permissionHint(op, e, "the user of the access key") + "; or set the id of the region's IAM project, which the vendor's SDK always sends"
	case errors.Is(e, ErrForbidden):
		return permissionHint(op, e, "the user of the access key")
	case !errors.Is(e, ErrUnauthorized):
		return ""
	case theirs.IsZero():
		return "check access key and secret key; or this machine's clock is off by more than the 15 minutes a signature may be"
	}
	off := theirs.Sub(s.now())
	side := "behind"
	if off < 0 {
		side = "ahead of"
	}
	switch {
	case off.Abs() >= signSkew-time.Minute:
		return "this machine's clock is " + off.Abs().Round(time.Second).String() + " " + side + " CodeArts's, and a signature may be 15 minutes off: set the clock"
	case !s.key.SecurityToken.Empty():
		return "the clocks agree within the 15 minutes a signature may be off, so it is the key: a temporary one ends with its security token, get a new one"
	default:
		return "the clocks agree within the 15 minutes a signature may be off, so it is the key: check access key and secret key, and that the key is enabled"
	}
}
