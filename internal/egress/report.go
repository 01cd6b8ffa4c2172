package egress

// Verdict is what is to be said of one point.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warn    Verdict = "warn"    // it works, and a person should know
	Fail    Verdict = "fail"    // messages will not arrive, or must not be sent
	Skipped Verdict = "skipped" // not looked at, for the reason the text gives
)

// The codes of the points, in their order.
const (
	WellFormed         = "well_formed"
	Scheme             = "scheme"
	Host               = "host"
	Port               = "port"
	Resolves           = "resolves"
	AddressesPermitted = "addresses_permitted"
	TLSValid           = "tls_valid"
	ProductKnown       = "product"
	ProductShape       = "product_shape"
	CodeArtsVerdict    = "codearts_verdict"
)

// Codes are the codes of a report's points, in their order.
func Codes() []string {
	return []string{
		WellFormed, Scheme, Host, Port, Resolves, AddressesPermitted, TLSValid, ProductKnown, ProductShape, CodeArtsVerdict,
	}
}

// Point is one thing that was looked at. Nothing in it is secret.
type Point struct {
	Code    string  `json:"code"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"`
	Remedy  string  `json:"remedy,omitempty"`
}

// Report is what there is to say of an address: always all points, always in the order of Codes.
type Report struct {
	Address string  `json:"address"` // masked
	Product Product `json:"product"`
	Verdict Verdict `json:"verdict"` // the worst of the points: ok, warn or fail
	Points  []Point `json:"points"`
}

// Failed reports whether a point failed.
func (r Report) Failed() bool { return r.Verdict == Fail }

// add adds a point, and its verdict to the report's.
func (r *Report) add(code string, verdict Verdict, text, remedy string) {
	r.Points = append(r.Points, Point{code, verdict, text, remedy})
	if verdict == Fail || verdict == Warn && r.Verdict == OK {
		r.Verdict = verdict
	}
}

// fits reports whether none of the points so far failed.
func (r *Report) fits() bool { return r.Verdict != Fail }
