package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// source is a policy file as it was read.
type source struct {
	path string
	text []byte
}

func (s source) equal(t source) bool { return s.path == t.path && bytes.Equal(s.text, t.text) }

// sources reads all policy files, those that win last. What is not there is left out.
func (o *Options) sources() ([]source, error) {
	var paths []string
	if path, ok := o.find(o.File); ok {
		paths = append(paths, path)
	}
	for _, name := range o.Dirs {
		dir, ok := o.find(name)
		if !ok {
			continue
		}
		more, err := filesIn(dir)
		if err != nil {
			return nil, err
		}
		paths = append(paths, more...)
	}
	var out []source
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // just removed
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, source{path, text})
	}
	return out, nil
}

// find is where a file or directory is: the first there is for a name that is relative.
func (o *Options) find(name string) (string, bool) {
	if name == "" {
		return "", false
	}
	places := o.Path
	if len(places) == 0 || filepath.IsAbs(name) {
		places = []string{""}
	}
	for _, place := range places {
		path := filepath.Join(place, name)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, true // if it cannot be looked at, reading it will say why
		}
	}
	return "", false
}

// filesIn lists the files of a directory by name, but not the hidden ones.
func filesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path) // of what a link leads to
		if strings.HasPrefix(e.Name(), ".") || (err == nil && info.IsDir()) {
			continue
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// rules reads a policy file, YAML or JSON. Of rules of the same name the last one wins.
func (s source) rules() ([]Rule, error) {
	if json.Valid(s.text) { // with tabs, it need not be YAML
		return s.jsonRules()
	}
	dec := yaml.NewDecoder(bytes.NewReader(s.text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document", s.path)
	}
	top := doc.Content[0]
	if top.Tag == "!!null" {
		return nil, nil
	}
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: not a mapping of rules", s.path, top.Line)
	}
	var out []Rule
	for pair := range slices.Chunk(top.Content, 2) {
		r := Rule{Name: pair[0].Value, File: s.path, line: pair[0].Line}
		var err error
		if r.Value, err = s.value(pair[1]); err != nil {
			return nil, r.fault(err)
		}
		out = append(out, r)
	}
	return out, nil
}

// value reads a rule from YAML.
func (s source) value(n *yaml.Node) (any, error) {
	if n.Tag == "!!null" && s.at(n) == '!' {
		// YAML takes a bare ! for a tag of nothing, and the empty rule lets everybody in.
		return nil, errors.New(`write "!" with quotes`)
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, err
	}
	return v, nil
}

// at is the character that a node begins with, 0 at the end.
func (s source) at(n *yaml.Node) rune {
	lines := strings.Split(string(s.text), "\n")
	if n.Line < 1 || n.Line > len(lines) {
		return 0
	}
	line := []rune(lines[n.Line-1])
	if n.Column < 1 || n.Column > len(line) {
		return 0
	}
	return line[n.Column-1]
}

func (s source) jsonRules() ([]Rule, error) {
	var rules map[string]any
	if err := json.Unmarshal(s.text, &rules); err != nil {
		return nil, fmt.Errorf("%s: not an object of rules", s.path)
	}
	var out []Rule
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		out = append(out, Rule{Name: name, Value: rules[name], File: s.path})
	}
	return out, nil
}
