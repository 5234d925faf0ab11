package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ottavino/ottavino/internal/amphoralab"
)

// work is what one client does until its context ends.
type work struct {
	name  string
	scale float64 // of the unit in which it is shown
	do    func(ctx context.Context, p proxy, done *atomic.Int64) error
}

var works = []work{
	{"HTTP requests/s, keep-alive", 1, keepAlive},
	{"new connections/s, one request each", 1, newConnections},
	{"TLS handshakes/s", 1, handshakes},
	{"TCP MB/s", 1e6, stream},
}

// crowd has clients work at the same time and counts what all have done.
func crowd(ctx context.Context, clients int, w work, p proxy) (int64, error) {
	var done atomic.Int64
	g, inner := errgroup.WithContext(ctx)
	for range clients {
		g.Go(func() error {
			err := w.do(inner, p, &done)
			if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
				return nil // the round is over
			}
			return err
		})
	}
	err := g.Wait()
	if err == nil && done.Load() == 0 {
		err = errors.New("nothing was done")
	}
	return done.Load(), err
}

// dial connects; the connection fails when ctx ends.
func dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(end)
	}
	return conn, err
}

func keepAlive(ctx context.Context, p proxy, done *atomic.Int64) error {
	conn, err := dial(ctx, p.web)
	if err != nil {
		return err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for ctx.Err() == nil {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: site\r\n\r\n"); err != nil {
			return err
		}
		if err := readAnswer(r); err != nil {
			return err
		}
		done.Add(1)
	}
	return nil
}

func newConnections(ctx context.Context, p proxy, done *atomic.Int64) error {
	for ctx.Err() == nil {
		conn, err := dial(ctx, p.web)
		if err != nil {
			return err
		}
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n")
		if err == nil {
			err = readAnswer(bufio.NewReader(conn))
		}
		if err := errors.Join(err, conn.Close()); err != nil {
			return err
		}
		done.Add(1)
	}
	return nil
}

func handshakes(ctx context.Context, p proxy, done *atomic.Int64) error {
	for ctx.Err() == nil {
		conn, err := dial(ctx, p.secure)
		if err != nil {
			return err
		}
		err = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) //nolint:gosec // its cost is haproxy's alone
		if err := errors.Join(err, conn.Close()); err != nil {
			return err
		}
		done.Add(1)
	}
	return nil
}

func stream(ctx context.Context, p proxy, done *atomic.Int64) error {
	conn, err := dial(ctx, p.stream)
	if err != nil {
		return err
	}
	defer conn.Close()
	for buffer := make([]byte, 128<<10); ctx.Err() == nil; {
		n, err := conn.Read(buffer)
		done.Add(int64(n))
		if err != nil {
			return err
		}
	}
	return nil
}

const page = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// readAnswer reads a response of answer.
func readAnswer(r *bufio.Reader) error {
	status, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(status, " 200 ") {
		return errors.New(strings.TrimSpace(status))
	}
	for line := status; line != "\r\n"; {
		if line, err = r.ReadString('\n'); err != nil {
			return err
		}
	}
	_, err = r.Discard(len(page))
	return err
}

// member listens until close.
func (b *bench) member(ctx context.Context, serve func(net.Conn)) (netip.AddrPort, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", amphoralab.Outside+":0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	b.members = append(b.members, l)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String()), nil
}

// answer is a web server of few words.
func answer(conn net.Conn) {
	response := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(page), page)
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\r\n" {
			if _, err := io.WriteString(conn, response); err != nil {
				return
			}
		}
	}
}

// pour sends for as long as somebody takes it.
func pour(conn net.Conn) {
	for buffer := make([]byte, 128<<10); ; {
		if _, err := conn.Write(buffer); err != nil {
			return
		}
	}
}
