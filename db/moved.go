package db

import (
	"context"
	"fmt"
	"sync"
)

// broadcast wakes any number of waiters at once. Its zero value is ready.
type broadcast struct {
	mu   sync.Mutex
	next chan struct{} // closed by the next announcement; nil while nobody waits
}

func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *broadcast) announce() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}

// Moved returns a channel that is closed by the next commit of this process that changes the provisioning status of a
// load balancer. Take it before looking at the status. Commits of other processes close nothing: waiters must also poll.
func (s *Store) Moved() <-chan struct{} { return s.moved.wait() }

// Statuses returns the provisioning statuses of rows of a kind that has one, by id; those that are absent are missing.
func (tx *Tx) Statuses(ctx context.Context, kind Kind, ids []string) (map[string]ProvisioningStatus, error) {
	table, ok := statusTables[kind]
	if !ok {
		return nil, fmt.Errorf("a %s has no provisioning status", kind)
	}
	out := make(map[string]ProvisioningStatus, len(ids))
	err := chunked(ids, func(ids []string) error {
		var rows []struct {
			ID                 string
			ProvisioningStatus ProvisioningStatus
		}
		err := tx.db.WithContext(ctx).Table(table).Select("id, provisioning_status").
			Where("id IN ?", ids).Scan(&rows).Error
		for _, r := range rows {
			out[r.ID] = r.ProvisioningStatus
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read statuses of %s rows: %w", kind, err)
	}
	return out, nil
}
