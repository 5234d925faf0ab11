package config

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
)

// name is where an option lives. Group is lower case except DEFAULT, key has underscores.
type name struct{ group, key string }

func newName(group, key string) name {
	if strings.EqualFold(group, "DEFAULT") {
		group = "DEFAULT"
	} else {
		group = strings.ToLower(group)
	}
	return name{group, strings.ReplaceAll(key, "-", "_")}
}

// entry is one assignment of a file or of the environment.
type entry struct {
	name  name
	value string
	where string // "octavia.conf:12", or the variable's name
}

// maxLine bounds one line of a file: a long list of addresses fits, a binary file does not.
const maxLine = 1 << 20

// parser holds the assignment that a following line may still continue.
type parser struct {
	file    string
	line    int
	group   string
	open    bool // an assignment may be continued
	current entry
	out     []entry
}

// parse reads one file. It stops at the first line that is not oslo.config's INI.
func parse(file string, r io.Reader) ([]entry, error) {
	p := parser{file: file}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		p.line++
		if err := p.feed(strings.TrimRight(lines.Text(), " \t\r\v\f")); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, p.line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", file, p.line+1, err)
	}
	p.flush()
	return p.out, nil
}

func (p *parser) feed(line string) error {
	switch {
	case line == "":
		p.flush()
		return nil
	case line[0] == ' ' || line[0] == '\t':
		return p.proceed(strings.TrimLeft(line, " \t"))
	}
	p.flush()
	switch line[0] {
	case '#', ';':
		return nil
	case '[':
		return p.section(line)
	}
	return p.assign(line)
}

// proceed appends a line that starts with a blank to the value above it.
func (p *parser) proceed(rest string) error {
	if !p.open {
		return fmt.Errorf("unexpected continuation line")
	}
	p.current.value += "\n" + rest
	return nil
}

func (p *parser) section(line string) error {
	if !strings.HasSuffix(line, "]") {
		return fmt.Errorf("group header without a closing bracket")
	}
	p.group = line[1 : len(line)-1]
	if p.group == "" {
		return fmt.Errorf("group header without a name")
	}
	return nil
}

// assign starts an assignment. Errors leave the line out: it may hold a secret.
func (p *parser) assign(line string) error {
	at := strings.IndexAny(line, "=:")
	if at < 0 {
		return fmt.Errorf("neither a group, a comment nor key = value")
	}
	key := strings.TrimSpace(line[:at])
	if key == "" {
		return fmt.Errorf("a value without a key")
	}
	if p.group == "" {
		return fmt.Errorf("%s stands before the first group", key)
	}
	p.current = entry{
		name:  newName(p.group, key),
		value: unquote(strings.TrimSpace(line[at+1:])),
		where: fmt.Sprintf("%s:%d", p.file, p.line),
	}
	p.open = true
	return nil
}

func (p *parser) flush() {
	if p.open {
		p.out = append(p.out, p.current)
	}
	p.open = false
}

// unquote takes off one pair of equal quotes around the whole value.
func unquote(v string) string {
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}

// source is everything that was read: files in order, and the environment.
type source struct {
	files []map[name][]entry
	env   func(string) (string, bool)
}

func (s *source) addFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("configuration file: %w", err)
	}
	defer f.Close()
	return s.add(path, f)
}

func (s *source) add(file string, r io.Reader) error {
	entries, err := parse(file, r)
	if err != nil {
		return err
	}
	byName := map[name][]entry{}
	for _, e := range entries {
		byName[e.name] = append(byName[e.name], e)
	}
	s.files = append(s.files, byName)
	return nil
}

// find returns the entry that decides an option with these names, the current one first: the
// environment, else the last file that holds any of the names, and there the last line.
func (s *source) find(names []name) (entry, bool) {
	if e, ok := s.fromEnv(names[0]); ok {
		return e, true
	}
	for i := len(s.files) - 1; i >= 0; i-- {
		for _, n := range names {
			if all := s.files[i][n]; len(all) > 0 {
				return all[len(all)-1], true
			}
		}
	}
	return entry{}, false
}

// findAll returns every entry of a repeatable option, oldest first.
func (s *source) findAll(names []name) []entry {
	if e, ok := s.fromEnv(names[0]); ok {
		return []entry{e}
	}
	var all []entry
	for _, file := range s.files {
		for _, n := range names {
			all = append(all, file[n]...)
		}
	}
	return all
}

func (s *source) fromEnv(n name) (entry, bool) {
	variable := "OS_" + strings.ToUpper(n.group) + "__" + strings.ToUpper(n.key)
	v, ok := s.env(variable)
	return entry{name: n, value: v, where: "environment " + variable}, ok
}
