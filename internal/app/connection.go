package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/codearts"
)

// Connection makes a client of one connection to CodeArts, for a command that makes a few calls.
func Connection(cfg *config.Config, name string) (*codearts.Client, error) {
	settings, ok := cfg.CodeArts[name]
	if !ok {
		there := "there is none"
		if len(cfg.CodeArts) > 0 {
			there = "there is " + strings.Join(slices.Sorted(maps.Keys(cfg.CodeArts)), ", ")
		}
		return nil, fmt.Errorf("there is no connection codearts.%s in the configuration; %s", name, there)
	}
	client, err := codearts.New(clientConfig(settings))
	if err != nil {
		return nil, fmt.Errorf("connection codearts.%s: %w", name, err)
	}
	return client, nil
}
