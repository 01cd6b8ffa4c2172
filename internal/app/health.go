package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	healthTimeout = 3 * time.Second
	healthBody    = 4 << 10 // of an answer that says no
)

// ReadyURL is the address at which a server says whether it is ready, made from its admin_listen. A server that listens on every
// interface is asked through the loopback.
func ReadyURL(listen string) (string, error) {
	if listen == "off" {
		return "", errors.New("admin_listen is off, so there is nobody to ask")
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("expected an address and a port like 127.0.0.1:9080, found %q", listen)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, port) + "/readyz", nil
}

// Health asks an address once, for at most three seconds. An answer of 200 is nil; any other is an error with what it says.
// No proxy is used and no redirect followed.
func Health(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil || req.URL.Host == "" {
		return errors.New("expected an address like http://127.0.0.1:9080/readyz")
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", address, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	said, err := io.ReadAll(io.LimitReader(resp.Body, healthBody))
	if err != nil || len(strings.TrimSpace(string(said))) == 0 {
		return fmt.Errorf("%s answers %s", address, resp.Status)
	}
	return fmt.Errorf("%s answers %s: %s", address, resp.Status, strings.TrimSpace(string(said)))
}
