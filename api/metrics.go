package api

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics measures requests. Its zero value measures nothing.
type metrics struct{ seconds *prometheus.HistogramVec }

func newMetrics(reg prometheus.Registerer) (metrics, error) {
	if reg == nil {
		return metrics{}, nil
	}
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "ottavino_api_request_seconds",
		Help:    "How long requests took, by route, method and status.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"route", "method", "code"})
	if err := reg.Register(h); err != nil {
		var there prometheus.AlreadyRegisteredError
		if !errors.As(err, &there) {
			return metrics{}, err
		}
		h = there.ExistingCollector.(*prometheus.HistogramVec)
	}
	return metrics{h}, nil
}

// observe measures and logs every request: writes for operators, reads for debugging.
func (s *Server) observe(m metrics) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			start := time.Now()
			if err := next(c); err != nil {
				c.Error(err) // now, so that the status is known
			}
			took, r, status := time.Since(start), c.Request(), c.Response().Status
			if m.seconds != nil {
				m.seconds.WithLabelValues(c.Path(), r.Method, strconv.Itoa(status)).Observe(took.Seconds())
			}
			level := slog.LevelInfo
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				level = slog.LevelDebug
			}
			s.deps.Log.Log(r.Context(), level, "request served", "method", r.Method, "path", originalPath(r),
				"status", status, "duration", took, "remote", c.RealIP())
			return nil
		}
	}
}
