package api

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// healthState is the last answer of the database, so that probes do not hammer it.
type healthState struct {
	mu      sync.Mutex // guards the fields below
	checked time.Time
	healthy bool
}

const healthTimeout = 5 * time.Second

// healthcheck says whether the database can be reached.
func (s *Server) healthcheck(c echo.Context) error {
	status, reason := http.StatusOK, "OK"
	if !s.healthy(c.Request().Context()) {
		status, reason = http.StatusServiceUnavailable, "The Octavia database is unavailable."
	}
	switch c.Request().Method {
	case http.MethodHead:
		if status == http.StatusOK {
			status = http.StatusNoContent
		}
		return c.NoContent(status)
	case http.MethodGet:
		return healthBody(c, status, reason)
	default:
		return echo.ErrMethodNotAllowed
	}
}

func healthBody(c echo.Context, status int, reason string) error {
	wants := c.Request().Header.Get(echo.HeaderAccept)
	switch {
	case wants == "", strings.Contains(wants, "text/plain"), strings.Contains(wants, "*/*"):
		return c.String(status, reason)
	case strings.Contains(wants, "application/json"):
		type body struct {
			Detailed bool     `json:"detailed"`
			Reasons  []string `json:"reasons"`
		}
		return c.JSON(status, body{Reasons: []string{reason}})
	case strings.Contains(wants, "text/html"):
		return c.HTML(status, "<html><head><title>Healthcheck Status</title></head><body><p>"+reason+"</p></body></html>")
	default:
		return c.NoContent(http.StatusNotAcceptable)
	}
}

func (s *Server) healthy(ctx context.Context) bool {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	now := s.deps.Now()
	if now.Sub(s.health.checked) < s.cfg.HealthcheckRefresh {
		return s.health.healthy
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	s.health.healthy, s.health.checked = s.deps.Store.Ping(ctx) == nil, now
	return s.health.healthy
}
