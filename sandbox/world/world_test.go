package world_test

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ottavino/ottavino/sandbox/world"
)

const modeEnv = "WORLD_TEST_MODE"

// TestMain lets the test binary stand for a program that enters a world, in the way modeEnv says.
func TestMain(m *testing.M) {
	switch os.Getenv(modeEnv) {
	case "":
		os.Exit(m.Run())
	case "status":
		mustEnter()
		os.Exit(7)
	case "shell":
		mustEnter()
		cmd := exec.Command("sh", "-c", os.Getenv("WORLD_TEST_SCRIPT"))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	case "listen":
		address := os.Getenv("WORLD_TEST_ADDRESS")
		l, err := mustEnter(world.Listen(address)).Listener(address)
		if err != nil {
			panic(err)
		}
		c, err := l.Accept()
		if err != nil {
			panic(err)
		}
		_, _ = c.Write([]byte("inside\n"))
		_ = c.Close()
		os.Exit(0)
	}
}

func mustEnter(opts ...world.Option) *world.World {
	w, err := world.Enter(opts...)
	if err != nil {
		panic(err)
	}
	return w
}

func program(t *testing.T, mode string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), modeEnv+"="+mode), env...)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestExitStatusPassesThrough(t *testing.T) {
	t.Parallel()
	err := program(t, "status").Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("got %v, want exit status 7", err)
	}
}

func TestWorldIsPrivate(t *testing.T) {
	t.Parallel()
	script := `ls /run; hostname; ls /sys/class/net; ip -br addr show lo | tr -s ' ' | cut -d' ' -f3; ip netns add x && ip netns | cut -d' ' -f1`
	out, err := program(t, "shell", "WORLD_TEST_SCRIPT="+script).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "netns\nsandbox\nlo\n127.0.0.1/8\nx"
	if got := strings.TrimSpace(string(out)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestChrootIsLeftBehind: in a chroot, too, what enters the world's mount namespace finds the world's root.
func TestChrootIsLeftBehind(t *testing.T) {
	t.Parallel()
	script := `set -e; d=/run/root; mkdir $d; mount -t tmpfs t $d; cd $d; mkdir etc proc dev sys run tmp
for i in /bin /sbin /lib /lib64 /usr; do [ ! -e $i ] || { mkdir .$i; mount --rbind $i .$i; }; done
for i in /proc /dev /sys; do mount --rbind $i .$i; done
cp "$PROGRAM" program; touch marker
WORLD_TEST_SCRIPT='nsenter -t $$ -m test -e /marker && echo the same' exec chroot . /program`
	out, err := program(t, "shell", "WORLD_TEST_SCRIPT="+script, "PROGRAM="+os.Args[0]).Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != "the same" {
		t.Errorf("got %q %v, want the same root", got, err)
	}
}

func TestSignalsReachTheProgram(t *testing.T) {
	t.Parallel()
	cmd := program(t, "shell", `WORLD_TEST_SCRIPT=trap "echo got it; exit 0" TERM; echo ready; while :; do sleep 0.05; done`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	// The program is the shell's parent and has no handler of its own, so it dies of the signal: 128 + 15.
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 128+int(syscall.SIGTERM) {
		t.Fatalf("got %v, want exit status 143", err)
	}
}

func TestEverythingDiesWithTheFirstProcess(t *testing.T) {
	t.Parallel()
	cmd := program(t, "shell", "WORLD_TEST_SCRIPT=echo ready; while :; do sleep 0.05; done")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the program did not start")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// The shell holds the pipe: end of file says that it is gone.
	ended := make(chan struct{})
	go func() {
		for lines.Scan() {
		}
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("a process of the world outlived it")
	}
	_ = cmd.Wait()
}

func TestOutsideListenerIsServedFromInside(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	cmd := program(t, "listen", "WORLD_TEST_ADDRESS="+address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got := dial(t, address)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if got != "inside\n" {
		t.Errorf("got %q, want the answer from inside", got)
	}
}

func dial(t *testing.T, address string) string {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			line, err := bufio.NewReader(c).ReadString('\n')
			_ = c.Close()
			if err != nil {
				t.Fatal(err)
			}
			return line
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
