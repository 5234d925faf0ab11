package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// errOverloaded says that too many requests were at work for too long.
var errOverloaded = &Fault{Status: http.StatusServiceUnavailable, Text: "The server is busy. Please try again."}

// bounded lets a request work when it is its turn. The database serves a few requests at a time best; more of them
// would only hold memory and connections while they wait for each other. Who waits for a load balancer (?wait=) takes
// no turn: that is little work for a long time.
func (s *Server) bounded(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Method == http.MethodGet && strings.HasSuffix(c.Path(), "/loadbalancers/:id") && callOf(c).query.Has("wait") {
			return next(c)
		}
		if c.Request().Method != http.MethodGet { // before, so that a slow client holds up nobody
			if _, err := s.receive(c); err != nil {
				return err
			}
		}
		if err := s.takeTurn(c.Request()); err != nil {
			return err
		}
		defer func() { <-s.turns }()
		return next(c)
	}
}

func (s *Server) takeTurn(r *http.Request) error {
	select {
	case s.turns <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(s.cfg.QueueTimeout)
	defer timer.Stop()
	select {
	case s.turns <- struct{}{}:
		return nil
	case <-timer.C:
		return errOverloaded
	case <-r.Context().Done():
		return r.Context().Err()
	}
}
