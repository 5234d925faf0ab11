// Package obs carries the ids of a request or a reconcile pass through contexts and into
// every log line, and builds the process's logger.
package obs

import "context"

// IDs are the identifiers that log lines and events carry. Empty ones are left out.
type IDs struct {
	RequestID      string // "req-<uuid>"
	ProjectID      string
	LoadBalancerID string
	AmphoraID      string
}

type idsKey struct{}

// With adds ids to the context; non-empty fields replace those already there.
func With(ctx context.Context, ids IDs) context.Context {
	old := From(ctx)
	if ids.RequestID == "" {
		ids.RequestID = old.RequestID
	}
	if ids.ProjectID == "" {
		ids.ProjectID = old.ProjectID
	}
	if ids.LoadBalancerID == "" {
		ids.LoadBalancerID = old.LoadBalancerID
	}
	if ids.AmphoraID == "" {
		ids.AmphoraID = old.AmphoraID
	}
	return context.WithValue(ctx, idsKey{}, ids)
}

// From returns the ids of the context; the zero value when there are none.
func From(ctx context.Context) IDs {
	ids, _ := ctx.Value(idsKey{}).(IDs)
	return ids
}
