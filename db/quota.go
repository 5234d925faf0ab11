package db

import "context"

// QuotaResource is a counted resource; the value is the column of the limit in quotas.
type QuotaResource string

// Counted resources.
const (
	QuotaLoadBalancer  QuotaResource = "load_balancer"
	QuotaListener      QuotaResource = "listener"
	QuotaPool          QuotaResource = "pool"
	QuotaMember        QuotaResource = "member"
	QuotaHealthMonitor QuotaResource = "health_monitor"
	QuotaL7Policy      QuotaResource = "l7policy"
	QuotaL7Rule        QuotaResource = "l7rule"
)

// QuotaDefaults holds [quotas] default_*_quota by resource; -1 (or absent) is unlimited.
type QuotaDefaults map[QuotaResource]int

// TakeQuota locks the project's row (created on first use), recounts a null or zero counter,
// and raises it by n; past the limit: *QuotaError. n may be negative to give back.
func (tx *Tx) TakeQuota(ctx context.Context, projectID string, r QuotaResource, n int, defaults QuotaDefaults) error {
	panic("todo")
}
