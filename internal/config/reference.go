package config

import (
	"fmt"
	"strings"
)

// Reference is docs/reference/config.md: how the configuration is read, an example, and every setting with its variable, default
// and meaning, from the declaration of Config.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, s := range schema().children {
		writeSection(&b, s, s.key, s.variable())
	}
	return b.String()
}

const referenceHead = `# Configuration

<!-- Generated from internal/config by go test ./internal/config -update. -->

The receiver, the worker and the commands read one file, ` + "`millrace.yaml`" + `, named by ` + "`--config`" + ` or by ` + "`MILLRACE_CONFIG`" + `.
Without a file there are the defaults and the environment.

- Every setting can be given in the environment: ` + "`MILLRACE_`" + ` and its path in upper case, with underscores for dots and hyphens. The
  environment wins over the file. An empty variable counts as not set. Items of a list are separated by commas.
- Names of sources, connections and targets are yours: at most 40 lower-case letters, digits and hyphens.
  ` + "`MILLRACE_TARGETS_ON_CALL_URL`" + ` is the ` + "`url`" + ` of the target ` + "`on-call`" + `, which need not be in the file.
  Where a variable could mean two settings, it is the longer: ` + "`MILLRACE_CODEARTS_A_SECURITY_TOKEN`" + ` is the ` + "`security_token`" + ` of ` + "`a`" + `.
- A secret is never written into the file. It is ` + "`{env: NAME}`" + `, ` + "`{file: PATH}`" + `, ` + "`{credential: NAME}`" + `
  (one that systemd hands to the service, see ` + "`deploy/`" + `), or the setting's own variable, which holds the secret itself.
- Paths in the file are relative to the file's folder, paths in the environment to the working folder.
- Durations: ` + "`500ms`" + `, ` + "`30s`" + `, ` + "`5m`" + `, ` + "`24h`" + `. Sizes: ` + "`768KiB`" + `, ` + "`2GiB`" + `, ` + "`1MB`" + `, or a number of bytes.
- Unknown settings, in the file and in the environment, are errors; all problems are reported at once, each with its place.

` + "```yaml" + `
nats:
  url: nats://127.0.0.1:4222

receiver:
  listen: 127.0.0.1:8080

sources:
  repo:                      # CodeArts Repo: the token set at its webhook
    verify: token
    secrets:
      - { env: REPO_TOKEN }

worker:
  rules: [rules]

codearts:
  default:
    region: cn-north-4
    domain: acme
    user: ci-bot
    password: { file: codearts-password }

targets:
  ops:
    kind: dingtalk
    url: { env: OPS_ROBOT_URL }
    secret: { env: OPS_ROBOT_SECRET }
  audit:
    kind: log
` + "```" + `
`

func writeSection(b *strings.Builder, s *setting, path, variable string) {
	name := path
	if s.kind == kindEntries {
		path, variable = path+".<name>", variable+"_<NAME>"
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| Setting | Environment | Default | Meaning |\n|---|---|---|---|\n", name, s.doc)
	writeSettings(b, s, path, variable)
}

func writeSettings(b *strings.Builder, s *setting, path, variable string) {
	for _, c := range s.children {
		p, v := path+"."+c.key, variable+"_"+upperSnake(c.key)
		if c.kind == kindSection {
			fmt.Fprintf(b, "| `%s` | | | %s |\n", p, c.doc)
			writeSettings(b, c, p, v)
			continue
		}
		def := ""
		if c.def != "" {
			def = "`" + c.def + "`"
		}
		fmt.Fprintf(b, "| `%s` | `%s` | %s | %s%s |\n", p, v, def, c.doc, limits(c))
	}
}

// limits are the words and sizes allowed, as the end of a setting's meaning.
func limits(s *setting) string {
	var all []string
	if len(s.oneOf) > 1 {
		all = append(all, "One of `"+strings.Join(s.oneOf, "`, `")+"`.")
	}
	switch {
	case s.minimum != "" && s.maximum != "":
		all = append(all, "From "+s.minimum+" to "+s.maximum+".")
	case s.minimum != "":
		all = append(all, "At least "+s.minimum+".")
	}
	if s.kind == kindSecret || s.kind == kindSecrets {
		all = append(all, "Secret.")
	}
	if len(all) == 0 {
		return ""
	}
	return " " + strings.Join(all, " ")
}
