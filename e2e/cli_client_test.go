package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/ottavino/ottavino/sandbox"
)

// python is Debian's: the clients are installed for it.
const python = "/usr/bin/python3"

// client runs `openstack loadbalancer`, all commands in one process: starting it costs more than a command.
type client struct {
	t       *testing.T
	ask     io.Writer
	answers *json.Decoder
	called  func(args []string) // told of every command; nil = nobody is
}

// client starts the client as a user; it ends with the test.
func (l *lab) client(t *testing.T, who sandbox.Login) *client {
	t.Helper()
	ask, answers := l.startClient(t, who)
	return &client{t: t, ask: ask, answers: json.NewDecoder(answers)}
}

// startClient starts the client's process, with arguments; it ends with the test.
func (l *lab) startClient(t *testing.T, who sandbox.Login, args ...string) (ask, answers *os.File) {
	t.Helper()
	cmd := exec.Command(python, append([]string{"testdata/commands.py"}, args...)...)
	cmd.Env = append(os.Environ(), l.sandbox.Settings().Env(who)...)
	cmd.Stderr = l.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, ask, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout = in, out
	if err := errors.Join(cmd.Start(), in.Close(), out.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = ask.Close()
		if err := errors.Join(cmd.Wait(), answers.Close()); err != nil {
			t.Errorf("the openstack client ended with %v", err)
		}
	})
	return ask, answers
}

// try runs a command and returns what it printed; the error carries what it complained of.
func (c *client) try(args ...string) (string, error) {
	c.t.Helper()
	if c.called != nil {
		c.called(args)
	}
	line, err := json.Marshal(append([]string{"loadbalancer"}, args...))
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.ask.Write(append(line, '\n')); err != nil {
		c.t.Fatal(err)
	}
	var answer struct {
		Status   any
		Out, Err string
	}
	if err := c.answers.Decode(&answer); err != nil {
		c.t.Fatal(err)
	}
	if fmt.Sprint(answer.Status) != "0" {
		return "", fmt.Errorf("status %v: %s", answer.Status, answer.Err)
	}
	return answer.Out, nil
}

func (c *client) run(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("openstack loadbalancer %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func (c *client) decode(into any, args ...string) {
	c.t.Helper()
	out := c.run(append(args, "-f", "json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		c.t.Fatalf("openstack loadbalancer %s: %v in %s", strings.Join(args, " "), err, out)
	}
}

func (c *client) object(args ...string) map[string]any {
	c.t.Helper()
	var out map[string]any
	c.decode(&out, args...)
	return out
}

// row returns the first row of a list; an empty one has none of its columns.
func (c *client) row(args ...string) map[string]any {
	c.t.Helper()
	var rows []map[string]any
	if c.decode(&rows, args...); len(rows) == 0 {
		return nil
	}
	return rows[0]
}

func (c *client) want(object map[string]any, key string, value any) {
	c.t.Helper()
	if got, want := fmt.Sprint(object[key]), fmt.Sprint(value); got != want {
		c.t.Errorf("%s: got %s, want %s", key, got, want)
	}
}
