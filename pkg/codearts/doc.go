// Package codearts is a client for the parts of Huawei Cloud CodeArts that Millrace needs: Build (runs, tasks, packages),
// Repo (commits and files) and the IAM token they may be called with.
//
// It owns the vocabulary of the answers, the sign-in, and the reading of failures: two services with different envelopes, HTTP
// 200 that means failure, HTTP 500 that means "slow down", and two kinds of project id are all turned into one *APIError that
// says whether trying again makes sense and whether the request may have been carried out after all.
//
// It never retries (two exceptions: a token that CodeArts no longer accepts is fetched anew once; and net/http repeats a GET when the
// kept-alive connection it chose turns out to be closed), never logs, never follows
// a redirect, and never puts a token, a password or a query string into an error. What CodeArts does not document stays a raw value.
//
// To start:
//
//	client, err := codearts.New(codearts.Config{
//		Region: "cn-north-4",
//		Credentials: codearts.Password{
//			User: "ci-bot", Domain: "acme", Password: codearts.NewSecret(password), ProjectName: "cn-north-4",
//		},
//	})
//	record, err := client.BuildRecord(ctx, jobID, 17)
//
// AKSK signs every request with an access key; Password gets tokens from IAM, with MFA or without; StaticToken takes one as it is. The
// clients of one process share a TokenCache, so that one user makes one request for a token, and a Limiter, which keeps their requests
// to each host within a rate.
//
// Adding a call is its types, its method, and one row of the table of operations beside them; Call, the facts of rules, the command
// codearts and the reference page follow from the row.
// Package codeartstest has a CodeArts to test against that fails on demand.
package codearts
