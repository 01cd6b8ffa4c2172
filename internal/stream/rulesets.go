package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

func (c *Conn) ensureRulesets(ctx context.Context) error {
	if _, err := c.js.Stream(ctx, rulesetStream); err == nil {
		return nil // whatever its settings
	}
	want := jetstream.ObjectStoreConfig{
		Bucket: rulesetBucket, Description: "Millrace: rulesets by digest",
		Storage: jetstream.FileStorage, Replicas: c.wantedReplicas(),
	}
	_, err := c.js.CreateObjectStore(ctx, want)
	if tooFewServers(err) && c.cfg.Replicas == 0 {
		want.Replicas = 1
		_, err = c.js.CreateObjectStore(ctx, want)
	}
	if tooFewServers(err) {
		return replicasError("object store "+rulesetBucket, want.Replicas, err)
	}
	if err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return fmt.Errorf("create object store %s: %w", rulesetBucket, err)
	}
	return nil
}

// PutRuleset stores a ruleset under its digest. One that is there is left as it is: what a
// digest names never changes.
func (c *Conn) PutRuleset(ctx context.Context, digest string, data []byte) error {
	op := "store ruleset " + digest
	store, err := c.js.ObjectStore(ctx, rulesetBucket)
	if err != nil {
		return refuse(op, err)
	}
	_, err = store.GetInfo(ctx, digest)
	if err == nil {
		return nil
	}
	if !errors.Is(err, jetstream.ErrObjectNotFound) {
		return refuse(op, err)
	}
	if _, err := store.PutBytes(ctx, digest, data); err != nil {
		return refuse(op, err)
	}
	return nil
}

// Ruleset reads a ruleset back, checked against the SHA-256 that was stored with it. For an
// absent one it returns nil and no error.
func (c *Conn) Ruleset(ctx context.Context, digest string) ([]byte, error) {
	op := "read ruleset " + digest
	store, err := c.js.ObjectStore(ctx, rulesetBucket)
	if err != nil {
		return nil, refuse(op, err)
	}
	data, err := store.GetBytes(ctx, digest)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, refuse(op, err)
	}
	return data, nil
}

// Rulesets are the digests of all rulesets that are stored, sorted.
func (c *Conn) Rulesets(ctx context.Context) ([]string, error) {
	const op = "list rulesets"
	store, err := c.js.ObjectStore(ctx, rulesetBucket)
	if err != nil {
		return nil, refuse(op, err)
	}
	all, err := store.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	if err != nil {
		return nil, refuse(op, err)
	}
	digests := make([]string, len(all))
	for i, o := range all {
		digests[i] = o.Name
	}
	slices.Sort(digests)
	return digests, nil
}
