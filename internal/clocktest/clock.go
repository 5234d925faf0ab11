// Package clocktest has a clock for tests, which moves only when it is told.
package clocktest

import (
	"sync"
	"time"
)

// Clock shows the time that it was set to.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// New sets a clock.
func New(at time.Time) *Clock { return &Clock{at: at} }

// Now is what it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Pass moves it.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
