package api

import (
	"errors"
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

func (m metrics) observe(next echo.HandlerFunc) echo.HandlerFunc {
	if m.seconds == nil {
		return next
	}
	return func(c echo.Context) error {
		start := time.Now()
		err := next(c)
		if err != nil {
			c.Error(err) // so that the status is known; the handler does nothing a second time
		}
		m.seconds.WithLabelValues(c.Path(), c.Request().Method, strconv.Itoa(c.Response().Status)).
			Observe(time.Since(start).Seconds())
		return nil
	}
}
