package codeartstest

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// What a Fake accepts when Options names nothing else.
const (
	User        = "ci-bot"
	Domain      = "acme"
	Password    = "fake-password"
	ProjectName = "cn-north-4"                       // IAM project
	ProjectID   = "99990000aaaa1111bbbb2222cccc3333" // its id

	// A permanent access key, and a temporary one that goes with a security token.
	AccessKeyID          = "FAKEACCESSKEY"
	SecretKey            = "fake-secret-key"
	TemporaryAccessKeyID = "FAKETEMPORARYKEY"
	TemporarySecretKey   = "fake-temporary-secret-key"
	SecurityToken        = "fake-security-token"
)

// Options shape a Fake. The zero value is good.
type Options struct {
	// Now is the clock below SetClock and Advance; nil is time.Now.
	Now func() time.Time
	// Users may sign in; nil is the one of the constants above.
	Users []IAMUser
	// Keys may sign requests; nil is the two of the constants above.
	Keys []AccessKey
	// Tokens are accepted as they are and never expire.
	Tokens []string
	// TokenLife is how long an issued token is good; 0 is 24 hours.
	TokenLife time.Duration
	// ConflictStatus is the HTTP status of a refused file condition, which is not documented: 0 is 409; 400 and 200 (with "failed") are likely, too.
	ConflictStatus int
	// Unfenced are actions of commits whose file conditions are not enforced, as create: one that is there is written over; or update,
	// move, delete: last_commit_id is not looked at. Whether CodeArts enforces them is not documented.
	Unfenced []string
	// RunZone is the zone in which the times of a list of runs are read, which is not documented; nil is +08:00.
	RunZone *time.Location
	// Region stands in records; "" is cn-north-4.
	Region string
}

// IAMUser is a user who may sign in.
type IAMUser struct {
	Domain, Name, Password string
	ProjectName, ProjectID string // the IAM project the user may get a token for
	// ID and Seed (base32) are of a user with a virtual MFA device, who has to give a passcode, too: one that was not used before, of
	// these 30 seconds or the 30 before.
	ID, Seed string
}

// Fake is a CodeArts. Use it as the handler of a server, and Close it when that server is closed.
type Fake struct {
	opts   Options
	routes []route

	mu       sync.Mutex
	offset   time.Duration
	sequence int64
	tokens   map[string]token
	static   map[string]bool
	codes    map[string]uint64 // the last step whose passcode was used, by user id
	repos    map[string]*repository
	jobs     map[string]*job
	jobOrder []string
	changes  map[string][]change // of the definitions of tasks
	began    time.Time
	packages []*Package
	checks   []WebhookCheck
	failures map[string][]*Failure
	calls    map[string]*counter
	pending  []*lateCommit

	hook   hook
	hooks  []*repoHook     // made by calls
	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	owned  sync.WaitGroup // timers and the hook's goroutine
}

// New returns a Fake with no repositories, tasks or packages.
func New(opts Options) *Fake {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Users == nil {
		opts.Users = []IAMUser{{Domain: Domain, Name: User, Password: Password, ProjectName: ProjectName, ProjectID: ProjectID}}
	}
	if opts.Keys == nil {
		opts.Keys = []AccessKey{
			{AccessKey: AccessKeyID, SecretKey: SecretKey, ProjectID: ProjectID},
			{AccessKey: TemporaryAccessKeyID, SecretKey: TemporarySecretKey, SecurityToken: SecurityToken, ProjectID: ProjectID},
		}
	}
	if opts.TokenLife == 0 {
		opts.TokenLife = 24 * time.Hour
	}
	if opts.ConflictStatus == 0 {
		opts.ConflictStatus = http.StatusConflict
	}
	if opts.RunZone == nil {
		opts.RunZone = time.FixedZone("+08:00", 8*60*60)
	}
	if opts.Region == "" {
		opts.Region = "cn-north-4"
	}
	f := &Fake{
		opts:     opts,
		routes:   newRoutes(),
		tokens:   map[string]token{},
		static:   map[string]bool{},
		codes:    map[string]uint64{},
		repos:    map[string]*repository{},
		jobs:     map[string]*job{},
		changes:  map[string][]change{},
		began:    opts.Now().UTC(),
		failures: map[string][]*Failure{},
		calls:    map[string]*counter{},
	}
	for _, t := range opts.Tokens {
		f.static[t] = true
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// Close ends what the Fake does by itself, webhook deliveries and late commits, and waits for it. Requests that are held are let go.
func (f *Fake) Close() {
	f.cancel()
	f.owned.Wait()
}

// Now returns the Fake's time.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now()
}

// SetClock sets the Fake's time to t, from where it goes on.
func (f *Fake) SetClock(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offset = t.Sub(f.opts.Now())
	f.settle()
}

// Advance moves the Fake's time on by d: tokens age, runs end, packages run out, late commits are made.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offset += d
	f.settle()
}

// now is the Fake's time; f.mu is held.
func (f *Fake) now() time.Time { return f.opts.Now().Add(f.offset).UTC() }

// next returns a number that was never given out; f.mu is held.
func (f *Fake) next() int64 {
	f.sequence++
	return f.sequence
}
