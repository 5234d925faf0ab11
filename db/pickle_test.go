package db_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/db"
)

// python runs a program with lines as input and returns the lines it prints.
func python(t *testing.T, code string, lines []string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", "-c", "import pickle, sys\nfor line in sys.stdin:\n\t"+code)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n"))
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("python3: %v: %s", err, said.String())
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

// TestPickle has Python read what is written, and reads what Python writes.
func TestPickle(t *testing.T) {
	t.Parallel()
	dicts := map[string]db.InsertHeaders{
		`{}`:                            {},
		`{'X-Forwarded-For': 'true'}`:   {"X-Forwarded-For": "true"},
		`{'a': 'b', 'b': 'b', 'c': ''}`: {"a": "b", "b": "b", "c": ""},
		`{'a': True, 'b': False}`:       {"a": "true", "b": "false"},
		`{'é': 'x' * 300}`:              {"é": strings.Repeat("x", 300)},
		`None`:                          nil,
	}
	var ours, theirs []string
	for dict, want := range dicts {
		for protocol := range 4 {
			theirs = append(theirs, fmt.Sprintf("%d;%s", protocol+2, dict))
		}
		value, err := want.Value()
		if err != nil {
			t.Fatal(err)
		}
		if pickled, ok := value.([]byte); ok && !strings.Contains(dict, "True") {
			ours = append(ours, hex.EncodeToString(pickled)+";"+dict)
		}
	}
	const write = "p, d = line.split(';', 1); print(pickle.dumps(eval(d), int(p)).hex())"
	for i, line := range python(t, write, theirs) {
		pickled, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		_, dict, _ := strings.Cut(theirs[i], ";")
		var got db.InsertHeaders
		if err := got.Scan(pickled); err != nil {
			t.Errorf("%s: %v", theirs[i], err)
		}
		if diff := cmp.Diff(dicts[dict], got); diff != "" {
			t.Errorf("%s:\n%s", theirs[i], diff)
		}
	}
	const read = "p, d = line.split(';', 1); print(pickle.loads(bytes.fromhex(p)) == eval(d))"
	for i, same := range python(t, read, ours) {
		if same != "True" {
			t.Errorf("Python does not read %s back", ours[i])
		}
	}
}

func TestPickleRefusesOthers(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"x", "\x80\x02", "\x80\x02cos\nsystem\n.", "\x80\x02}Ns.", "\x80\x02s.",
		"\x80\x02}(X\xff\xff\xff\xffau.", "\x80\x02].", "\x80\x02}h\x07s.", "\x80\x02q\x00.",
	} {
		if err := new(db.InsertHeaders).Scan([]byte(bad)); err == nil {
			t.Errorf("read %q as a dict", bad)
		}
	}
}

func FuzzPickle(f *testing.F) {
	f.Add([]byte("\x80\x02}q\x00X\x01\x00\x00\x00aq\x01X\x01\x00\x00\x00bq\x02s."))
	f.Fuzz(func(t *testing.T, in []byte) {
		var h, again db.InsertHeaders
		if h.Scan(in) != nil {
			return
		}
		value, err := h.Value()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Scan(value); err != nil || !cmp.Equal(h, again) {
			t.Errorf("got %v, %v back from %v", again, err, h)
		}
	})
}
