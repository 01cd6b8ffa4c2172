// Package codeartstest is a CodeArts to test against: an http.Handler with the state of the real one, which fails when it is told to.
//
// It owns repositories with branches, files and history, build tasks whose runs go from queued to a final state, packages that run
// out, IAM users with their tokens and passcodes, access keys, and a clock that can be set; what else there is to ask Build, such as
// permissions and images, it makes up or makes of these. It enforces what a careful client must not get wrong: a token has to be there
// and alive, a signature right and fresh, a file that exists is not created again, a stale last_commit_id is refused. A commit can be
// told to a webhook.
//
// It shares no decoding and no signing with the client: envelopes, fields and limits are written down here a second time, from the
// same facts; only methods and paths come from the client's table of calls. Where no error code is known, the code begins with "FAKE.".
//
// To start:
//
//	fake := codeartstest.New(codeartstest.Options{})
//	defer fake.Close()
//	server := httptest.NewServer(fake)
//	defer server.Close()
//	fake.AddRepository(codeartstest.Repository{ID: "2111000001", Path: "shop/orders"})
//	fake.Fail("create_commit", codeartstest.Failure{Drop: true, Done: true, Times: 1}) // made, but the answer is lost
//
// Failures that cut a connection need a real server; a handler called directly panics with http.ErrAbortHandler.
package codeartstest
