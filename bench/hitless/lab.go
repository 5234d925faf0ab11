package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/ottavino/ottavino/internal/amphoralab"
	"github.com/ottavino/ottavino/internal/churn"
)

// lab has four members.
type lab struct{ *amphoralab.Lab }

func newLab(ctx context.Context, agent string) (*lab, error) {
	l, err := amphoralab.New(ctx, agent)
	if err != nil {
		return nil, err
	}
	for i := range 4 {
		if err := l.Serve(ctx, fmt.Sprint("member ", i)); err != nil {
			l.Close()
			return nil, err
		}
	}
	return &lab{l}, nil
}

func (l *lab) play(seed uint64) churn.Play {
	return churn.Play{
		LoadBalancerID: amphoralab.LoadBalancerID, BasePath: l.Base(), CertDir: l.Certs(), VIP: netip.MustParseAddr(amphoralab.VIP),
		Members: l.Members, Seed: seed,
	}
}

// ours is our agent, and our driver.
type ours struct {
	*amphoralab.Agent
	lab *lab
}

func (l *lab) ours(ctx context.Context) (amphora, error) {
	a, err := l.StartAgent(ctx)
	return ours{a, l}, err
}

func (o ours) workers() int {
	return childrenOf(filepath.Join(o.lab.Base(), amphoralab.LoadBalancerID, amphoralab.LoadBalancerID+".pid"))
}

func (o ours) stop(ctx context.Context) error { return o.Stop(ctx) }
