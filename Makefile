# What is tried by hand and by CI beside `go test ./...`. See docs/reliability/README.md.

SECONDS ?= 60
RATE ?= 50
SEED ?=
BREAK ?=

.PHONY: torture
torture:
	@go run ./internal/torture -seconds "$(SECONDS)" -rate "$(RATE)" -seed "$(SEED)" -break "$(BREAK)"
