package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestGracefulEnd: a request that takes longer than the process may take to end does not hold it.
func TestGracefulEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-release })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveHTTP(ctx, slog.New(slog.DiscardHandler), address, handler, 10*time.Millisecond) }()
	go func() {
		for t.Context().Err() == nil {
			if resp, err := http.Get("http://" + address); err == nil {
				_ = resp.Body.Close()
			}
		}
	}()
	<-entered
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the server waits for a request without end")
	}
}
