package config

import (
	"cmp"
	"time"
)

// Config is all of Millrace's settings. The tags are the documentation: key is the name in the file, default, min and max are
// written as in the file, oneof lists the words allowed, check names a further test of the text (checkText), doc is for Reference.
//
// Print it as you like: the secrets in it do not show.
type Config struct {
	NATS     NATS                `key:"nats" doc:"The nats-server (2.14 or newer, JetStream on) that stores everything."`
	Receiver Receiver            `key:"receiver" doc:"The HTTP server that takes deliveries."`
	Sources  map[string]Source   `key:"sources" doc:"Where events come from, by name: who may post deliveries (source repo posts to /hooks/repo), and which projects are asked for their builds; see docs/sources.md."`
	Worker   Worker              `key:"worker" doc:"The process that matches events, fetches facts and carries out actions."`
	CodeArts map[string]CodeArts `key:"codearts" doc:"Accounts of CodeArts, by name. A rule without connection takes the one named default."`
	Targets  map[string]Target   `key:"targets" doc:"Where messages go, by the name rules use."`
	Egress   Egress              `key:"egress" doc:"Which addresses messages may go to, beyond public ones at https and port 443; see docs/webhooks.md."`
	Log      Log                 `key:"log" doc:"What the processes report about themselves, on standard error."`
}

// NATS says where the broker is and how much it may hold.
type NATS struct {
	URL             string        `key:"url" default:"nats://127.0.0.1:4222" check:"nats_url" doc:"Address of the server, or several separated by commas: nats://, tls://, ws:// or wss://, without user and password."`
	CredentialsFile string        `key:"credentials_file" check:"path" doc:"A .creds file, as nsc and nk write it."`
	Token           Secret        `key:"token" doc:"Token, for servers that ask for one."`
	Replicas        Replicas      `key:"replicas" default:"auto" min:"1" max:"5" doc:"Copies of every store, on as many servers. auto = 3 in a cluster that has servers for them, which survives the loss of one, else 1. A store that has fewer is given more, while it is used; none is taken away."`
	DuplicateWindow time.Duration `key:"duplicate_window" default:"20m" min:"100ms" max:"24h" doc:"How long the broker recognises an event id it has seen. It saves work; correctness does not depend on it."`
	EventsMaxBytes  Bytes         `key:"events_max_bytes" default:"2GiB" min:"1MiB" doc:"Size of the archive of events. What is not processed is never dropped for it."`
	RecordsMaxBytes Bytes         `key:"records_max_bytes" default:"1GiB" min:"1MiB" doc:"Size of the records of decisions and actions."`
	DeadMaxBytes    Bytes         `key:"dead_max_bytes" default:"512MiB" min:"1MiB" doc:"Size of the dead letters."`
}

// Receiver is the HTTP server.
type Receiver struct {
	Listen         string        `key:"listen" default:"127.0.0.1:8080" check:"listen" doc:"Address and port. :8080 listens on every interface."`
	MaxBody        Bytes         `key:"max_body" default:"768KiB" min:"1KiB" max:"768KiB" doc:"Largest delivery taken; a larger one is answered 413."`
	InFlightBytes  Bytes         `key:"in_flight_bytes" default:"64MiB" min:"4MiB" doc:"How much memory deliveries that are being read or stored may take together; more are answered 503 with Retry-After. With several sources each may take half of it."`
	Durability     string        `key:"durability" default:"journal" oneof:"journal|broker" doc:"What a 2xx promises: journal = the event is written to this machine's disk, and published until the stream has it; broker = the stream has acknowledged it."`
	Journal        Journal       `key:"journal" doc:"The journal of durability: journal."`
	AdminListen    string        `key:"admin_listen" default:"127.0.0.1:9080" check:"admin" doc:"Address and port of /livez, /readyz and /metrics, which ask for no password: keep it where only your monitoring reaches it. off = none."`
	Drain          time.Duration `key:"drain" default:"25s" min:"1s" max:"10m" doc:"How long a receiver that is told to stop may take in all; then requests under way are cut. Whoever stops it, as systemd, has to wait longer than that."`
	DrainDelay     time.Duration `key:"drain_delay" default:"3s" min:"0s" max:"5m" doc:"How much of drain it goes on taking deliveries for while /readyz already says 503: as long as a load balancer needs to notice. 0s = none stands before it."`
	PublishTimeout time.Duration `key:"publish_timeout" default:"5s" min:"100ms" max:"30s" doc:"How long a delivery waits for the broker before it is answered 503."`
	CheckToken     Secret        `key:"check_token" doc:"Bearer token of POST /v1/webhooks/check. Without it there is no such address."`
	CheckRate      int           `key:"check_rate" default:"10" min:"1" max:"1000" doc:"How many addresses one receiver checks in a minute; more are answered 429."`
}

// Journal is the receiver's write-ahead journal.
type Journal struct {
	Dir      string        `key:"dir" check:"path" doc:"Folder of its files, on a disk of this machine, for this receiver alone; made if it is not there. Empty: journal in $STATE_DIRECTORY, which systemd sets; without one, beside this file."`
	MaxBytes Bytes         `key:"max_bytes" default:"2GiB" min:"4MiB" doc:"How much it may hold. A full journal answers 503. It has to have room for what comes in journal.hold, and while NATS is away."`
	Hold     time.Duration `key:"hold" default:"10m" min:"10s" max:"24h" doc:"How long events stay in it after the stream has acknowledged them: at least twice as long as the nats-server may take to write to its disk (sync_interval, 2m unless set). They are published again after every start and reconnect."`
}

// Source is a configured sender, which does not exist without a secret, or a project whose builds are asked for, which has none.
type Source struct {
	Verify         string         `key:"verify" default:"token" oneof:"token|hmac_sha256|standard_webhooks" doc:"How a delivery proves its sender: token = the secret itself in a header (CodeArts Repo, GitLab), hmac_sha256 = a signature of the body (GitHub, Gitea), standard_webhooks = id, time and signature."`
	Headers        []string       `key:"headers" check:"header" doc:"Headers that may carry the token or the signature; any one of them. Empty: for token X-Repo-Token, X-Gitlab-Token, X-Auth-Token, X-Devcloud-Token and X-Codehub-Token, for hmac_sha256 X-Hub-Signature-256; standard_webhooks has its own."`
	Secrets        []Secret       `key:"secrets" doc:"One or several secrets, any of which is accepted, so that one can be replaced without a gap. For standard_webhooks base64, with or without whsec_. Required of who posts."`
	IDFrom         []string       `key:"id_from" check:"field" doc:"Fields of the body that together are the delivery id (object_attributes.iid), or body for a digest of all of it. Empty: the sender's own id."`
	Sends          []string       `key:"sends" check:"event_types" doc:"Types of events, or globs of them, that come from here (build.*), for checks of rules; nothing is refused for it. Empty: what a forge sends, all but build.*."`
	Weight         int            `key:"weight" default:"1" min:"1" max:"100" doc:"Its part of what a worker does at the same time, while all sources have work: twice that of a source with half of it. Who has no work leaves its part to the others."`
	MaxRate        int            `key:"max_rate" default:"0" min:"0" max:"100000" doc:"Deliveries a second that one receiver takes from here in the long run; more are answered 429 with Retry-After, and are lost if the sender does not send again. 0: any number."`
	MaxBurst       int            `key:"max_burst" default:"0" min:"0" max:"100000" doc:"Deliveries that may come at once before max_rate holds them back. 0: as many as max_rate."`
	MaxInFlight    int            `key:"max_in_flight" default:"0" min:"0" max:"100000" doc:"Deliveries from here that one receiver stores at the same time; more are answered 429 with Retry-After. 0: any number, within receiver.in_flight_bytes."`
	CodeArtsBuilds CodeArtsBuilds `key:"codearts_builds" doc:"Instead of taking deliveries: workers ask CodeArts for the builds of a project, and each that has finished is an event build.finished. Of the other settings only weight goes with it."`
}

// Polls tells whether the source is a project that is asked for its builds.
func (s Source) Polls() bool { return s.CodeArtsBuilds.ProjectID != "" }

// CodeArtsBuilds says which builds are asked for, and how often.
type CodeArtsBuilds struct {
	ProjectID  string        `key:"project_id" check:"id" doc:"CodeArts project, by the id in the addresses of its pages. Not that of an IAM project. Required."`
	Every      time.Duration `key:"every" default:"1m" min:"10s" max:"1h" doc:"Pause between two looks, in whole seconds."`
	Connection string        `key:"connection" default:"default" doc:"Account of CodeArts."`
	Repository string        `key:"repository" check:"digits" doc:"Only tasks that build the repository with this id. Empty: all tasks of the project."`
}

// Worker is what matches, fetches and acts.
type Worker struct {
	Rules          []string      `key:"rules" check:"path" doc:"Files and folders of rules, relative to this file. Not looked at with rules_from: pushed."`
	RulesFrom      string        `key:"rules_from" default:"files" oneof:"files|pushed" doc:"files = those of rules; pushed = what millrace rules push made the ruleset of the whole fleet."`
	AdminListen    string        `key:"admin_listen" default:"127.0.0.1:9081" check:"admin" doc:"Address and port of /livez, /readyz and /metrics, as of the receiver, which may run on the same machine. off = none."`
	ReloadEvery    time.Duration `key:"reload_every" default:"2s" min:"100ms" max:"1h" doc:"How often it is looked whether the rule files, or what is pushed, have changed."`
	Concurrency    Concurrency   `key:"concurrency" doc:"How much one worker does at the same time."`
	Retry          Retry         `key:"retry" doc:"What failed and may succeed later is tried again, with growing pauses."`
	Deadline       Deadline      `key:"deadline" doc:"How long after its event was accepted an action is still carried out, where its rule does not say. Later it is a dead letter of class expired. 0s = at any time."`
	Circuit        Circuit       `key:"circuit" doc:"Keeps a target, or a host of CodeArts, that answers nothing from being asked again and again; see docs/operations.md."`
	Settle         time.Duration `key:"settle" default:"60s" min:"0s" max:"1h" doc:"How long after a client's timeout a commit may still land, or a build be started."`
	ClockSkew      time.Duration `key:"clock_skew" default:"5m" min:"0s" max:"1h" doc:"How far the clock of CodeArts may be from ours."`
	CodeArtsRate   int           `key:"codearts_rate" default:"20" min:"1" max:"10000" doc:"Requests a second from this process to one host of CodeArts, all connections together: its share of what CodeArts allows to the whole fleet, which is not published. More wait, or are tried again later."`
	CodeArtsBurst  int           `key:"codearts_burst" default:"40" min:"1" max:"10000" doc:"Requests to one host that may go out at once, before codearts_rate holds them back."`
	AckWait        time.Duration `key:"ack_wait" default:"30s" min:"1s" max:"10m" doc:"How soon the broker gives the work of a worker that went silent to another one."`
	Drain          time.Duration `key:"drain" default:"20s" min:"1s" max:"10m" doc:"How long a worker that is told to stop may take in all. For three quarters of it, or all but five seconds, work under way may end; then it is interrupted and handed back to other workers. Whoever stops the worker, as systemd, has to wait longer than that."`
	OwnCommitDepth int           `key:"own_commit_depth" default:"3" min:"0" max:"100" doc:"How many of our own commits may follow from one another, for rules with on_own_commits."`
	Breaker        Breaker       `key:"breaker" doc:"Stops a rule that commits to the same branch, or starts builds of the same task, again and again."`
	BuildTrigger   string        `key:"build_trigger" doc:"What CodeArts says has triggered a build that was started by a call, which is not documented: the trigger_type of such a build of yours, as in MANUAL. With it, when the answer to a start was lost, builds of other triggers are not taken for the one that was asked for. Empty: any may be."`
}

// Concurrency is the number of messages a worker handles at the same time, by kind of work.
type Concurrency struct {
	Match  int `key:"match" default:"4" min:"1" max:"1024" doc:"Events being matched, and one more for each source beyond the first, so that none waits behind the others."`
	Run    int `key:"run" default:"16" min:"1" max:"1024" doc:"Runs: fetching facts and deciding. As with match, one more for each source beyond the first."`
	Commit int `key:"commit" default:"4" min:"1" max:"1024" doc:"Commits; never two to the same branch."`
	Build  int `key:"build" default:"2" min:"1" max:"1024" doc:"Builds being started; never two of the same task."`
	Alert  int `key:"alert" default:"2" min:"1" max:"1024" doc:"Alerts."`
	Notify int `key:"notify" default:"2" min:"1" max:"1024" doc:"Messages, for each target."`
}

// Retry is the schedule of further tries, for all work and for kinds of it.
type Retry struct {
	First       time.Duration `key:"first" default:"5s" min:"1s" max:"1h" doc:"Pause before the second try; it doubles with every try. Half of each pause is drawn by chance."`
	Max         time.Duration `key:"max" default:"10m" min:"1s" max:"24h" doc:"Longest pause."`
	GiveUpAfter time.Duration `key:"give_up_after" default:"24h" min:"1s" max:"336h" doc:"Time since the first try after which the message becomes a dead letter."`
	Run         Ladder        `key:"run" doc:"Runs, where they are to be different: fetching facts and deciding."`
	Commit      Ladder        `key:"commit" doc:"Commits."`
	Build       Ladder        `key:"build" doc:"Builds that are started."`
	Alert       Ladder        `key:"alert" doc:"Readings of alerts; their messages are of notify."`
	Notify      Ladder        `key:"notify" doc:"Messages; targets.NAME.retry is for one target."`
}

// Ladder is what is different from another schedule of tries; 0: nothing.
type Ladder struct {
	First       time.Duration `key:"first" min:"1s" max:"1h" doc:"Pause before the second try. Empty: as for the rest."`
	Max         time.Duration `key:"max" min:"1s" max:"24h" doc:"Longest pause. Empty: as for the rest."`
	GiveUpAfter time.Duration `key:"give_up_after" min:"1s" max:"336h" doc:"Time since the first try after which it becomes a dead letter. Empty: as for the rest."`
}

// All is the schedule of what has none of its own.
func (r Retry) All() Ladder { return Ladder{First: r.First, Max: r.Max, GiveUpAfter: r.GiveUpAfter} }

// Over is the ladder with what it leaves open filled in from another one.
func (l Ladder) Over(other Ladder) Ladder {
	return Ladder{
		First: cmp.Or(l.First, other.First), Max: cmp.Or(l.Max, other.Max), GiveUpAfter: cmp.Or(l.GiveUpAfter, other.GiveUpAfter),
	}
}

// Deadline is how old the event of an action may be, by kind.
type Deadline struct {
	Commit time.Duration `key:"commit" default:"0s" min:"0s" max:"336h" doc:"Commits."`
	Build  time.Duration `key:"build" default:"0s" min:"0s" max:"336h" doc:"Builds that are started."`
	Alert  time.Duration `key:"alert" default:"24h" min:"0s" max:"336h" doc:"Readings of alerts. What is due is sent with the next one."`
	Notify time.Duration `key:"notify" default:"24h" min:"0s" max:"336h" doc:"Messages, those of alerts included."`
}

// Circuit is when whoever is down is let alone, and for how long.
type Circuit struct {
	Failures int           `key:"failures" default:"5" min:"1" max:"1000" doc:"Calls in a row that have to fail."`
	First    time.Duration `key:"first" default:"5s" min:"1s" max:"1h" doc:"Pause before one call is tried; it doubles while that one fails. Half of each pause is drawn by chance."`
	Max      time.Duration `key:"max" default:"2m" min:"1s" max:"1h" doc:"Longest pause."`
}

// Breaker is the limit of commits of one rule to one branch, and of builds of one task that it starts.
type Breaker struct {
	Commits int           `key:"commits" default:"10" min:"1" max:"1000" doc:"Commits of one rule to one branch, and builds of one task that one rule starts…"`
	Per     time.Duration `key:"per" default:"1h" min:"1s" max:"168h" doc:"… within this time; further ones become dead letters."`
}

// CodeArts is one account in one region. It is signed in by AccessKey and SecretKey, or by User, Domain and Password, or by Token.
type CodeArts struct {
	Region        string        `key:"region" check:"region" doc:"Region, as in cn-north-4; it decides the addresses that are not given."`
	BuildEndpoint string        `key:"build_endpoint" check:"api_url" doc:"Address of CodeArts Build. Empty: the region's."`
	RepoEndpoint  string        `key:"repo_endpoint" check:"api_url" doc:"Address of CodeArts Repo. Empty: the region's."`
	IAMEndpoint   string        `key:"iam_endpoint" check:"api_url" doc:"Address of IAM. Empty: the region's."`
	PlainHTTP     bool          `key:"plain_http" doc:"Take http endpoints that are not on this machine. For a fake CodeArts in a test network only: token and password travel readable."`
	RepoAPI       string        `key:"repo_api" default:"v2" oneof:"v2|v4" doc:"The API of Repo that commits and files are asked for with. The vendor describes v4 since 2025 and marks some calls of v2 as deprecated, without a date."`
	AccessKey     string        `key:"access_key" doc:"Id of an access key (AK) that signs every request. The way the vendor recommends: no token can end early, and IAM is not asked. The clock has to be right to 15 minutes."`
	SecretKey     Secret        `key:"secret_key" doc:"The access key's secret key (SK)."`
	SecurityToken Secret        `key:"security_token" doc:"What goes with a temporary access key. Both end within a day: for trying out."`
	User          string        `key:"user" doc:"IAM user name, instead of an access key. Tokens are got from IAM, and renewed in time."`
	Domain        string        `key:"domain" doc:"Account name the user belongs to."`
	Password      Secret        `key:"password" doc:"The user's password."`
	MFAUserID     string        `key:"mfa_user_id" doc:"Id of the user (not its name), when it signs in with a virtual MFA device too."`
	MFASeed       Secret        `key:"mfa_seed" doc:"The key that was shown when the MFA device was bound, in base32. A passcode is good once in 30 seconds, so only one process can sign in as this user at a time: give a fleet an access key."`
	Token         Secret        `key:"token" doc:"An IAM token as it is, scoped to the region's IAM project. It ends within a day: for trying out."`
	Project       string        `key:"project" doc:"IAM project the token is for, by name. Empty and no project_id: the region's own, named like the region."`
	ProjectID     string        `key:"project_id" doc:"IAM project the token is for, by id; with an access key it is sent as X-Project-Id, which the vendor's SDK always does. Not the project id of CodeArts."`
	Timeout       time.Duration `key:"timeout" default:"30s" min:"1s" max:"5m" doc:"Longest one request may take."`
	CommitURL     string        `key:"commit_url" default:"{web_url}/commits/detail/{id}" check:"commit_url" doc:"Page of a commit, for links in messages."`
}

// Target is a place for messages.
type Target struct {
	Kind   string `key:"kind" oneof:"log|webhook|dingtalk|feishu" doc:"log writes a line, webhook posts Millrace's own JSON, dingtalk and feishu are custom robots of a group. Required."`
	URL    Secret `key:"url" check:"http_url" doc:"Address of the robot or receiver. It is a secret: who knows it can post."`
	Secret Secret `key:"secret" doc:"Signing secret. For a webhook whsec_… of Standard Webhooks, or any text."`
	Retry  Ladder `key:"retry" doc:"When messages to it are tried again, where that is to be different from worker.retry."`
}

// Egress opens what is closed to targets. It is not about CodeArts, whose addresses are its own settings.
type Egress struct {
	AllowCIDRs []string `key:"allow_cidrs" doc:"Networks that are not public and may be dialled, as in 10.20.0.0/16. Link-local and metadata addresses stay closed whatever is written here."`
	AllowHosts []string `key:"allow_hosts" doc:"Hosts that may be at a private address (RFC 1918, 100.64.0.0/10, fc00::/7), as in chat.corp.example or *.corp.example."`
	AllowPorts []string `key:"allow_ports" doc:"Ports besides 443, and 80 for http, as in 8443 or 9000-9010."`
	AllowHTTP  bool     `key:"allow_http" doc:"Whether an address may be http://. Who listens in can then read the messages, and the address, which is a secret."`
	Proxy      string   `key:"proxy" check:"http_url" doc:"Address of an HTTP proxy that carries all messages, without user and password. It then decides which addresses a name leads to. Empty: none, whatever HTTPS_PROXY says."`
}

// Log says how the processes report.
type Log struct {
	Format string `key:"format" default:"auto" oneof:"auto|json|console" doc:"auto = console on a terminal, JSON elsewhere."`
	Level  string `key:"level" default:"info" oneof:"debug|info|warn|error" doc:"Least important line that is written."`
}
