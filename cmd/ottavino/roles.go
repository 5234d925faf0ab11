package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ottavino/ottavino/config"
	"github.com/ottavino/ottavino/obs"
)

// roles says what a process does.
type roles struct{ api, worker, health, housekeeping bool }

func everything() roles { return roles{true, true, true, true} }

// settings are the flags of a role.
type settings struct {
	files, dirs []string
	metrics     string // address; "" = not served
	migrate     bool
}

func roleCommand(use, short string, r roles) *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), s, r) },
	}
	configFlags(cmd, &s)
	cmd.Flags().StringVar(&s.metrics, "metrics", "", "serve Prometheus metrics at `address`, such as 127.0.0.1:9109")
	cmd.Flags().BoolVar(&s.migrate, "migrate", r == everything(), "bring the database's schema up to date at start")
	return cmd
}

func configFlags(cmd *cobra.Command, s *settings) {
	cmd.Flags().StringArrayVar(&s.files, "config-file", nil, "read `octavia.conf`; may be repeated, the last one wins (default: where Octavia looks for it)")
	cmd.Flags().StringArrayVar(&s.dirs, "config-dir", nil, "read all *.conf of `directory` after the files")
}

func (s settings) load() (*config.Config, error) {
	if len(s.files) == 0 && len(s.dirs) == 0 {
		return config.Load(config.Find())
	}
	return config.Load(s.files, s.dirs)
}

// serve runs the roles until ctx ends.
func serve(ctx context.Context, s settings, r roles) error {
	cfg, err := s.load()
	if err != nil {
		return err
	}
	log, err := openLog(cfg.Default)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		log.WarnContext(ctx, "configuration", "warning", w)
	}
	p, err := newParts(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer p.close(context.WithoutCancel(ctx))
	if s.migrate {
		if err := p.store.Migrate(ctx); err != nil {
			return err
		}
	}
	runs, err := p.runs(r)
	if err != nil {
		return err
	}
	if s.metrics != "" {
		runs = append(runs, func(ctx context.Context) error {
			return serveHTTP(ctx, log, s.metrics, p.metrics.Handler(), cfg.Default.GracefulShutdownTimeout)
		})
	}
	g, inner := errgroup.WithContext(ctx)
	for _, run := range runs {
		g.Go(func() error { return run(inner) })
	}
	log.InfoContext(ctx, "started", "version", version(), "database", p.store.Engine())
	err = g.Wait()
	log.InfoContext(context.WithoutCancel(ctx), "stopped")
	return err
}

// runs builds the roles: each is a function that runs until its ctx ends.
func (p *parts) runs(r roles) ([]func(context.Context) error, error) {
	var out []func(context.Context) error
	for _, role := range []struct {
		wanted bool
		build  func() (func(context.Context) error, error)
	}{{r.api, p.api}, {r.worker, p.worker}, {r.health, p.health}, {r.housekeeping, p.housekeeping}} {
		if !role.wanted {
			continue
		}
		run, err := role.build()
		if err != nil {
			return nil, err
		}
		out = append(out, run)
	}
	return out, nil
}

// serveHTTP serves until ctx ends, then lets running requests finish, for graceful at most.
func serveHTTP(ctx context.Context, log *slog.Logger, address string, h http.Handler, graceful time.Duration) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      10 * time.Minute, // a request may wait for half of it; long lists give themselves more
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			log.WarnContext(ctx, "requests cut off", "error", err)
		}
	})
	log.InfoContext(ctx, "listening", "address", l.Addr().String())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve %s: %w", address, err)
	}
	<-ended // Serve returns when the shutdown begins; the requests need what the caller closes next
	return nil
}

func openLog(d config.Default) (*slog.Logger, error) {
	out, err := logFile(d)
	if err != nil {
		return nil, fmt.Errorf("[DEFAULT] log_file: %w", err)
	}
	return obs.NewLogger(out, obs.LogConfig{Debug: d.Debug, JSON: d.UseJSON}), nil
}

func hostPort(host fmt.Stringer, port int) string {
	return net.JoinHostPort(host.String(), strconv.Itoa(port))
}
