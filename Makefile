# What is tried by hand and by CI beside `go test ./...`. See docs/reliability/README.md.

SECONDS ?= 60
RATE ?= 50
SEED ?=
BREAK ?=
REPORT ?=

.PHONY: torture torture-controls torture-power
torture:
	@go run ./internal/torture -seconds "$(SECONDS)" -rate "$(RATE)" -seed "$(SEED)" -break "$(BREAK)" -report "$(REPORT)"

torture-controls: SECONDS = 20
torture-controls:
	@go run ./internal/torture -seconds "$(SECONDS)" -rate "$(RATE)" -seed "$(SEED)" -break all

torture-power: SECONDS = 25
torture-power:
	@go run ./internal/torture -seconds "$(SECONDS)" -rate "$(RATE)" -seed "$(SEED)" -power-loss each
