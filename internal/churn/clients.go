// Package churn is a load balancer's busy half minute: hundreds of changes while clients ask without a pause, and what these notice.
// Tests and bench/hitless play the same one.
package churn

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Clients ask through a VIP: some keep their connections, some take a new one for every request. They do not try again, as net/http
// does when a connection that was kept fails: every failure is one that a user sees.
type Clients struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex // guards noted
	noted Notes
}

// Notes are what clients noticed.
type Notes struct {
	Took   []time.Duration // of answered requests, with the connection where it was a new one; sorted
	Failed map[string]int  // by what they saw
}

// Failures counts failed requests.
func (n Notes) Failures() int {
	sum := 0
	for _, c := range n.Failed {
		sum += c
	}
	return sum
}

// Kinds are the failures in words, each kind once.
func (n Notes) Kinds() []string {
	var out []string
	for _, what := range slices.Sorted(maps.Keys(n.Failed)) {
		out = append(out, fmt.Sprintf("%d times: %s", n.Failed[what], what))
	}
	return out
}

// Quantile is the time within which so many of a hundred requests were answered; 0 without any.
func (n Notes) Quantile(percent float64) time.Duration {
	if len(n.Took) == 0 {
		return 0
	}
	return n.Took[min(len(n.Took)-1, int(float64(len(n.Took))*percent/100))]
}

// Start begins to ask port 80 of a VIP, and port 443 with TLS unless plain is set.
func Start(ctx context.Context, vip string, plain bool) *Clients {
	ctx, cancel := context.WithCancel(ctx)
	c := &Clients{cancel: cancel, noted: Notes{Failed: map[string]int{}}}
	clear := func() (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", net.JoinHostPort(vip, "80"))
	}
	secure := func() (net.Conn, error) {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // certificates come and go
		return d.DialContext(ctx, "tcp", net.JoinHostPort(vip, "443"))
	}
	if plain {
		secure = clear
	}
	for _, dial := range []func() (net.Conn, error){clear, clear, secure, secure} {
		c.wg.Go(func() { c.ask(ctx, dial, true) })
		c.wg.Go(func() { c.ask(ctx, dial, false) })
	}
	return c
}

// Stop ends the clients and returns what they noticed.
func (c *Clients) Stop() Notes {
	c.cancel()
	c.wg.Wait()
	slices.Sort(c.noted.Took)
	return c.noted
}

func (c *Clients) ask(ctx context.Context, dial func() (net.Conn, error), keep bool) {
	var (
		conn   net.Conn
		reader *bufio.Reader
	)
	for ; ctx.Err() == nil; pause(ctx) {
		began := time.Now()
		if conn == nil {
			fresh, err := dial()
			if err != nil {
				c.fail(ctx, "connect", err)
				continue
			}
			conn, reader = fresh, bufio.NewReader(fresh)
		}
		again, err := exchange(conn, reader, keep)
		if err != nil {
			c.fail(ctx, "request", err)
		} else {
			c.note(time.Since(began))
		}
		if !again {
			_ = conn.Close()
			conn = nil
		}
	}
	if conn != nil {
		_ = conn.Close()
	}
}

// pause leaves connections idle for a moment, which is when a worker that goes would close them.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(2 * time.Millisecond):
	}
}

// patience tells a request that hangs from a machine that is busy with other things.
const patience = 30 * time.Second

// exchange asks once; again says that the connection can be used again.
func exchange(conn net.Conn, reader *bufio.Reader, keep bool) (again bool, err error) {
	_ = conn.SetDeadline(time.Now().Add(patience))
	connection := "close"
	if keep {
		connection = "keep-alive"
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: %s\r\n\r\n", connection); err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false, err
	}
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("status %s", resp.Status)
	}
	return keep && !resp.Close, nil
}

func (c *Clients) note(took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noted.Took = append(c.noted.Took, took)
}

// ephemeral are client ports: kinds of failures do not differ by them.
var ephemeral = regexp.MustCompile(`:\d{4,5}\b`)

func (c *Clients) fail(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return // it was cut by Stop
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noted.Failed[what+": "+ephemeral.ReplaceAllString(err.Error(), "")]++
}
