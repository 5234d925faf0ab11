package db

import (
	"context"
	"time"

	"gorm.io/gorm/logger"
)

// tracer hands statements to Config.Trace. It logs nothing: errors are logged where they stop.
type tracer struct {
	fn func(ctx context.Context, statement string)
}

// LogMode implements gorm's logger.
func (t tracer) LogMode(logger.LogLevel) logger.Interface { return t }

// Info implements gorm's logger.
func (tracer) Info(context.Context, string, ...any) {}

// Warn implements gorm's logger.
func (tracer) Warn(context.Context, string, ...any) {}

// Error implements gorm's logger.
func (tracer) Error(context.Context, string, ...any) {}

// Trace implements gorm's logger.
func (t tracer) Trace(ctx context.Context, _ time.Time, statement func() (string, int64), _ error) {
	if t.fn == nil {
		return
	}
	sql, _ := statement()
	t.fn(ctx, sql)
}
