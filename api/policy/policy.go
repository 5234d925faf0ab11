// Package policy decides who may call what, with oslo.policy's rule language, Octavia's rule
// names and defaults, and the operator's policy.yaml.
package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// Credentials are the facts about a caller that rules can test.
type Credentials struct {
	UserID, ProjectID, SystemScope string
	Roles                          []string
	IsAdmin                        bool
}

// Target are the facts about the object, for %(name)s in rules: project_id at least.
type Target map[string]string

// Options say where rules come from.
type Options struct {
	// File is [oslo_policy] policy_file; "" or an absent file means the defaults only. It is
	// read again when it changes; a file that became unreadable leaves the rules as they were.
	File string
	// OldDefaults is not [oslo_policy] enforce_new_defaults: the load-balancer_* roles count too.
	OldDefaults bool
	Log         *slog.Logger // nil discards
}

// Enforcer holds the rules in force. It is safe for concurrent use.
type Enforcer struct {
	opts Options
	base map[string]check // the defaults

	mu    sync.Mutex // guards the fields below
	rules map[string]check
	stamp fileStamp // of the file that rules came from
}

// fileStamp tells one content of a file from another.
type fileStamp struct {
	modified time.Time
	size     int64
}

// Load reads the rules. A rule in the file that cannot be parsed is an error.
func Load(o Options) (*Enforcer, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	base, err := compile(defaults(o.OldDefaults))
	if err != nil {
		return nil, fmt.Errorf("policy: defaults: %w", err)
	}
	e := &Enforcer{opts: o, base: base, rules: base}
	if err := e.reload(); err != nil {
		return nil, err
	}
	return e, nil
}

// Defaults are the rules without any file.
func Defaults() *Enforcer {
	e, err := Load(Options{})
	if err != nil {
		panic(err) // the defaults are constants
	}
	return e
}

// Authorize says whether the rule (os_load-balancer_api:listener:post) passes; a rule that
// does not exist falls back to the rule "default", which does not exist unless the file has it.
func (e *Enforcer) Authorize(rule string, c Credentials, t Target) bool {
	ev := &evaluation{rules: e.current(), creds: c, target: t}
	return ev.rule(rule)
}

// current returns the rules in force, after a look at the file.
func (e *Enforcer) current() map[string]check {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.reload(); err != nil {
		//nolint:sloglint // asked from everywhere, and of no request
		e.opts.Log.Error("policy file not usable, earlier rules stay", "file", e.opts.File, "error", err)
	}
	return e.rules
}

// reload reads the file when it is another than last time.
func (e *Enforcer) reload() error {
	if e.opts.File == "" {
		return nil
	}
	info, err := os.Stat(e.opts.File)
	if errors.Is(err, fs.ErrNotExist) {
		e.rules, e.stamp = e.base, fileStamp{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	stamp := fileStamp{info.ModTime(), info.Size()}
	if stamp == e.stamp {
		return nil
	}
	e.stamp = stamp // a bad file is reported once
	rules, err := readFile(e.opts.File)
	if err != nil {
		return err
	}
	all := maps.Clone(e.base)
	maps.Copy(all, rules)
	e.rules = all
	return nil
}

func readFile(path string) (map[string]check, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	var rules map[string]string
	if err := yaml.Unmarshal(text, &rules); err != nil {
		return nil, fmt.Errorf("policy: %s: %w", path, err)
	}
	compiled, err := compile(rules)
	if err != nil {
		return nil, fmt.Errorf("policy: %s: %w", path, err)
	}
	return compiled, nil
}

func compile(rules map[string]string) (map[string]check, error) {
	out := make(map[string]check, len(rules))
	for name, text := range rules {
		c, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", name, err)
		}
		out[name] = c
	}
	return out, nil
}
