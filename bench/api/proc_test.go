package main

import (
	"os"
	"os/exec"
	"testing"
)

func TestParseStat(t *testing.T) {
	for _, c := range []struct {
		line string
		want stat
		bad  bool
	}{
		{line: "7 (uwsgi) S 3 7 7 0 -1 4194560 1 0 0 0 120 30 5 5 20 0 1 0 99", want: stat{parent: 3, cpu: 1.6}},
		{line: "7 (a ) S 1) R 3 7 7 0 -1 4194560 1 0 0 0 1 0 0 0 20 0 1 0 99", want: stat{parent: 3, cpu: 0.01}},
		{line: "7 (uwsgi) S 3 7", bad: true},
		{line: "", bad: true},
		{line: "7 (uwsgi) S 3 7 7 0 -1 4194560 1 0 0 0 x 30 5 5", bad: true},
	} {
		if got, err := parseStat([]byte(c.line)); (err != nil) != c.bad || (!c.bad && got != c.want) {
			t.Errorf("%q: got %+v, %v, want %+v", c.line, got, err, c.want)
		}
	}
}

// A child that runs, and one that has ended and been waited for, belong to the tree; their parent's parent does not.
func TestTree(t *testing.T) {
	t.Parallel()
	// The first child works and ends; the second waits until our pipe closes.
	cmd := exec.CommandContext(t.Context(), "sh", "-c",
		"exec 3<&0; n=0; (while [ $n -lt 200000 ]; do n=$((n+1)); done); cat <&3 >/dev/null & echo ready; wait")
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = hold.Close()
		_ = cmd.Wait()
	}()
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	all, err := tree(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, there := all[os.Getpid()]; there || len(all) != 2 {
		t.Errorf("got %v, want the shell and its child", all)
	}
	if cpu, err := treeCPU(cmd.Process.Pid); err != nil || cpu <= 0 {
		t.Errorf("got %v s, %v, want the time of the child that ended", cpu, err)
	}
	resident, proportional, err := treeMemory(cmd.Process.Pid)
	if err != nil || resident <= 0 || proportional <= 0 || proportional > resident {
		t.Errorf("got %v, %v MiB, %v", resident, proportional, err)
	}
	if _, err := tree(1 << 30); err == nil {
		t.Error("a process that is not there: got no error")
	}
}
