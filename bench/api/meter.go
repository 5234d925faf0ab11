package main

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ottavino/ottavino/db/dbserver"
)

// meter measures operations. Each measurement is bounded in count and time.
type meter struct {
	requests int
	limit    time.Duration
	database *dbserver.MariaDB
}

// result is what a measurement found.
type result struct {
	latencies []time.Duration // of each request, sorted
	elapsed   time.Duration
	used      usage
}

// usage is what has been used since the servers started.
type usage struct {
	api        float64 // CPU seconds of the API's processes
	database   float64 // CPU seconds of MariaDB
	statements float64 // that MariaDB was asked
}

func (u usage) plus(v usage, times float64) usage {
	return usage{u.api + times*v.api, u.database + times*v.database, u.statements + times*v.statements}
}

func (r result) rate() float64 { return float64(len(r.latencies)) / r.elapsed.Seconds() }

// percentile is the latency that p percent of the requests did not exceed.
func (r result) percentile(p int) time.Duration {
	return r.latencies[max(0, (len(r.latencies)*p+99)/100-1)]
}

// each is what one request used.
func (r result) each() usage { return usage{}.plus(r.used, 1/float64(len(r.latencies))) }

// stretch is by how much the limit may be exceeded so that all clients ask once.
const stretch = 4

// hang is when a measurement is given up.
const hang = 5 * time.Minute

// measure has clients repeat an operation. The result is nil when as many requests at once would take far
// longer than the limit, judging by what one took.
func (m meter) measure(ctx context.Context, p *peer, op operation, clients int) (*result, error) {
	count := m.requests
	if cost, known := p.cost[op.name]; known && clients > 1 {
		fits := m.limit.Seconds() * float64(runtime.NumCPU()) / cost
		if fits*stretch < float64(clients) {
			return nil, nil
		}
		count = min(count, max(clients, int(fits)))
	}
	var all result
	for all.elapsed < m.limit && len(all.latencies) < count {
		n := count - len(all.latencies)
		if op.writes {
			n = min(n, everybody()-1)
		}
		r, err := m.round(ctx, p, op, clients, n, m.limit-all.elapsed)
		if err != nil {
			return nil, err
		}
		all.latencies = append(all.latencies, r.latencies...)
		all.elapsed += r.elapsed
		all.used = all.used.plus(r.used, 1)
	}
	slices.Sort(all.latencies)
	if clients == 1 {
		one := all.each()
		p.cost[op.name] = one.api + one.database
	}
	return &all, nil
}

// round measures at most count requests, none of which begins after the limit, and cleans up behind them.
func (m meter) round(ctx context.Context, p *peer, op operation, clients, count int, limit time.Duration) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, hang)
	defer cancel()
	before, err := m.usage(ctx, p)
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	latencies, err := load(clients, count, limit, func(n int) error { return p.ask(ctx, op, n) })
	r := result{latencies: latencies, elapsed: time.Since(start)}
	if err != nil {
		return r, err
	}
	after, err := m.usage(ctx, p)
	if err != nil {
		return r, err
	}
	r.used = after.plus(before, -1)
	if op.writes {
		err = p.restore(ctx)
	}
	return r, err
}

// usage looks at the clocks of the API's processes and of the database.
func (m meter) usage(ctx context.Context, p *peer) (u usage, err error) {
	if u.api, err = treeCPU(p.process.PID()); err != nil {
		return u, err
	}
	if u.database, err = treeCPU(m.database.PID()); err != nil {
		return u, err
	}
	var name string
	return u, m.database.Admin().QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Questions'").Scan(&name, &u.statements)
}

// restore makes the database what it was.
func (p *peer) restore(ctx context.Context) error {
	for _, statement := range reset(p.own) {
		if _, err := p.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// warmUp has every process of the server load what it loads with its first request. It fails when a request is not answered
// in time: octavia-api forgets one now and then while it loads ("greenlet.error: cannot switch to a different thread").
func (p *peer) warmUp(ctx context.Context) error {
	const clients, requests, longest = 8, 64, 30 * time.Second
	show := operation{path: one, status: http.StatusOK}
	_, err := load(clients, requests, patience, func(n int) error {
		ctx, cancel := context.WithTimeout(ctx, longest)
		defer cancel()
		return p.ask(ctx, show, n)
	})
	return err
}

// load calls ask with 0, 1, … count-1 from as many goroutines as there are clients, and measures each call. No call begins after the
// limit or after an error, which is returned.
func load(clients, count int, limit time.Duration, ask func(n int) error) ([]time.Duration, error) {
	var (
		wg        sync.WaitGroup
		next      atomic.Int64
		mu        sync.Mutex
		latencies []time.Duration
		first     error
	)
	start := time.Now()
	client := func() {
		var own []time.Duration
		var err error
		for err == nil && time.Since(start) < limit {
			n := int(next.Add(1)) - 1
			if n >= count {
				break
			}
			begin := time.Now()
			err = ask(n)
			own = append(own, time.Since(begin))
		}
		mu.Lock()
		defer mu.Unlock()
		latencies = append(latencies, own...)
		if err != nil && first == nil {
			first = err
			next.Store(int64(count))
		}
	}
	for range clients {
		wg.Go(client)
	}
	wg.Wait()
	return latencies, first
}
