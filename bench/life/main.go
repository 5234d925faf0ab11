// Command life measures ottavino in the sandbox and prints what it found beside what is expected: the time of a create,
// of member changes and of a delete, requests per second of the API, and memory. Run it with `make bench`, which builds the
// programs it needs into bin/.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/ottavino/ottavino/sandbox"
	"github.com/ottavino/ottavino/sandbox/world"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	bin := flag.String("bin", "bin", "directory of ottavino and amphora-agent")
	rounds := flag.Int("rounds", 5, "how often each life is lived")
	flag.Parse()
	if _, err := world.Enter(); err != nil {
		return err
	}
	dir, err := filepath.Abs(*bin)
	if err != nil {
		return err
	}
	b, err := newBench(context.Background(), dir)
	if err != nil {
		return err
	}
	defer b.close()
	return b.measure(context.Background(), *rounds)
}

// bench is a cloud with a server in it.
type bench struct {
	cloud *sandbox.Sandbox
	serve *exec.Cmd
	api   *client
	dir   string
}

const address = "127.0.0.1:9876"

func newBench(ctx context.Context, bin string) (*bench, error) {
	dir, err := os.MkdirTemp("", "ottavino-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir}
	if b.cloud, err = sandbox.Start(ctx, sandbox.Config{Agent: filepath.Join(bin, "amphora-agent")}); err != nil {
		b.close()
		return nil, err
	}
	b.cloud.RegisterLoadBalancer("http://" + address)
	conf := filepath.Join(dir, "octavia.conf")
	text := b.cloud.Settings().OctaviaConf() + "\n[database]\nconnection = sqlite:///" + filepath.Join(dir, "ottavino.db") + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		b.close()
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "ottavino.log"))
	if err != nil {
		b.close()
		return nil, err
	}
	defer log.Close()
	b.serve = exec.CommandContext(ctx, filepath.Join(bin, "ottavino"), "serve", "--config-file", conf)
	b.serve.Stdout, b.serve.Stderr = log, log
	if err := b.serve.Start(); err != nil {
		b.close()
		return nil, err
	}
	if err := await(ctx, "the server answers", func() (bool, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return false, nil
		}
		return true, conn.Close()
	}); err != nil {
		b.close()
		return nil, err
	}
	b.api, err = login(ctx, b.cloud.Settings())
	return b, err
}

func (b *bench) close() {
	if b.serve != nil && b.serve.Process != nil {
		_ = b.serve.Process.Kill()
		_ = b.serve.Wait()
	}
	if b.cloud != nil {
		_ = b.cloud.Close()
	}
	_ = os.RemoveAll(b.dir)
}

// figure is a measured value beside the most that is expected; 0 = no expectation.
type figure struct {
	name   string
	values []float64
	unit   string
	most   float64
}

func (f figure) String() string {
	v := slices.Clone(f.values)
	slices.Sort(v)
	median := v[len(v)/2]
	line := fmt.Sprintf("%-40s %9.1f %-4s  (%.1f to %.1f)", f.name, median, f.unit, v[0], v[len(v)-1])
	if f.most > 0 {
		line += fmt.Sprintf("   expected < %.0f, ratio %.2f", f.most, median/f.most)
	}
	return line
}

func (b *bench) measure(ctx context.Context, rounds int) error {
	figures := []figure{
		{name: "create to ACTIVE", unit: "ms", most: 2000},
		{name: "member add to first answered request", unit: "ms", most: 100},
		{name: "member removal to ACTIVE", unit: "ms", most: 100},
		{name: "cascade delete to 404", unit: "ms"},
		{name: "memory of one agent", unit: "MiB", most: 25},
	}
	for range rounds {
		values, err := b.life(ctx)
		if err != nil {
			return err
		}
		for i, v := range values {
			figures[i].values = append(figures[i].values, v)
		}
	}
	more, err := b.requests(ctx)
	if err != nil {
		return err
	}
	for _, f := range append(figures, more...) {
		fmt.Println(f)
	}
	return nil
}

// ms is the time since start in milliseconds.
func ms(start time.Time) float64 { return float64(time.Since(start).Microseconds()) / 1000 }

func await(ctx context.Context, what string, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		done, err := ok()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain until %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}
