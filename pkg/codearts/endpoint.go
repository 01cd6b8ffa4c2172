package codearts

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// The hosts of the regions, as the vendor's SDK (v0.1.207) lists them. Repo hosts follow three patterns, and not every service is in
// every region, so the regions are listed, not derived.
var (
	buildRegions = []string{
		"cn-north-1", "cn-north-4", "cn-east-2", "cn-east-3", "cn-south-1", "cn-south-2", "cn-southwest-2",
		"ap-southeast-3", "sa-brazil-1", "la-north-2", "la-south-2", "tr-west-1",
	}
	repoRegions = []struct {
		prefix  string
		regions []string
	}{
		{"codehub-ext", []string{
			"cn-north-1", "cn-north-4", "cn-east-2", "cn-east-3", "cn-south-1", "cn-south-2", "cn-southwest-2",
			"ap-southeast-3", "sa-brazil-1", "la-north-2",
		}},
		{"codeartsrepo-ext", []string{"la-south-2", "tr-west-1", "eu-west-101"}},
		{"repo", []string{"me-east-1", "af-south-1", "af-north-1"}},
	}
	// iamRegions have an IAM, and neither Build nor Repo that is known.
	iamRegions = []string{
		"cn-north-9", "cn-east-4", "cn-east-5", "ap-southeast-1", "ap-southeast-2", "ap-southeast-4",
	}
)

// Regions returns the regions whose hosts of Build or Repo are known, sorted.
func Regions() []string {
	all := slices.Clone(buildRegions)
	for _, row := range repoRegions {
		all = append(all, row.regions...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// DefaultEndpoint returns the address of a service in a region, "" when none is known. IAM is also at https://iam.myhuaweicloud.com for
// all regions but those of Europe.
func DefaultEndpoint(service Service, region string) string {
	switch service {
	case ServiceBuild:
		if slices.Contains(buildRegions, region) {
			return "https://cloudbuild-ext." + region + ".myhuaweicloud.com"
		}
	case ServiceRepo:
		for _, row := range repoRegions {
			if slices.Contains(row.regions, region) {
				return "https://" + row.prefix + "." + region + ".myhuaweicloud.com"
			}
		}
	case ServiceIAM:
		switch {
		case region == "eu-west-101":
			return "https://iam.eu-west-101.myhuaweicloud.eu"
		case slices.Contains(iamRegions, region), slices.Contains(Regions(), region):
			return "https://iam." + region + ".myhuaweicloud.com"
		}
	}
	return ""
}

// endpoint is where a service lives.
type endpoint struct{ scheme, host, prefix string }

// parseEndpoint checks an address from the configuration. Plain http is for a server on this machine: a token would travel unprotected.
func parseEndpoint(setting, address string, plainHTTP bool) (endpoint, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return endpoint{}, fmt.Errorf("codearts: %s: not an address like https://host", setting)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return endpoint{}, fmt.Errorf("codearts: %s: an endpoint has no user, query or fragment", setting)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || (!plainHTTP && !loopback(u.Hostname()))) {
		return endpoint{}, fmt.Errorf("codearts: %s: %s://%s would carry the token unprotected: use https", setting, u.Scheme, u.Host)
	}
	return endpoint{scheme: u.Scheme, host: u.Host, prefix: strings.TrimRight(u.Path, "/")}, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
