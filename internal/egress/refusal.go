package egress

// ClassAddress is the class of a refusal.
const ClassAddress = "address"

// Refusal is an address that may not be dialled. Which one, and why, is in the log only: an answer must not tell who sends
// addresses here what our name servers know.
type Refusal struct{ redirect bool }

// Error says no more than that.
func (r *Refusal) Error() string {
	if r.redirect {
		return "redirects are not followed"
	}
	return "address not permitted"
}

// Retryable is false: a person must change the address or the policy.
func (*Refusal) Retryable() bool { return false }

// Class is ClassAddress.
func (*Refusal) Class() string { return ClassAddress }
