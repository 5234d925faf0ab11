package dbtest

import (
	"context"
	"fmt"
	"sync"

	"github.com/ottavino/ottavino/db/dbserver"
)

// mariadb hands out databases of one server. A database with a schema takes half a second to make, so those given back
// are emptied and handed out again.
type mariadb struct {
	mu     sync.Mutex
	server *dbserver.MariaDB
	n      int
	free   []string
}

func (m *mariadb) create(ctx context.Context) (string, error) {
	if m.server == nil {
		server, err := dbserver.StartMariaDB(ctx)
		if err != nil {
			return "", err
		}
		m.server = server
	}
	m.n++
	name := fmt.Sprintf("octavia%d", m.n)
	_, err := m.server.Admin().ExecContext(ctx, "CREATE DATABASE "+name)
	return name, err
}

func (m *mariadb) empty() (string, func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, cancel := patience()
	defer cancel()
	name, err := m.create(ctx)
	if err != nil {
		return "", nil, err
	}
	return m.server.URL(name), func() error { return m.drop(name) }, nil
}

func (m *mariadb) drop(name string) error {
	ctx, cancel := patience()
	defer cancel()
	_, err := m.server.Admin().ExecContext(ctx, "DROP DATABASE "+name)
	return err
}

func (m *mariadb) migrated() (string, func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, cancel := patience()
	defer cancel()
	if n := len(m.free); n > 0 {
		name := m.free[n-1]
		m.free = m.free[:n-1]
		return m.server.URL(name), func() error { return m.recycle(name) }, nil
	}
	name, err := m.create(ctx)
	if err != nil {
		return "", nil, err
	}
	url := m.server.URL(name)
	return url, func() error { return m.recycle(name) }, migrate(url)
}

// recycle empties a database of all that the schema did not put there.
func (m *mariadb) recycle(name string) error {
	ctx, cancel := patience()
	defer cancel()
	conn, err := m.server.Admin().Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for _, sql := range append([]string{"USE " + name, "SET foreign_key_checks = 0"}, leftovers()...) {
		if _, err := conn.ExecContext(ctx, sql); err != nil {
			return fmt.Errorf("empty database: %w", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, name)
	return nil
}

// leftovers are the statements that remove what a test may have put into a schema.
func leftovers() []string {
	const placeholder = "00000000-0000-0000-0000-000000000000"
	var out []string
	for _, t := range []string{
		"load_balancer", "vip", "additional_vip", "vip_security_group", "vrrp_group", "listener", "listener_cidr",
		"sni", "listener_statistics", "pool", "member", "health_monitor", "session_persistence", "l7policy", "l7rule",
		"amphora", "amphora_member_port", "amphora_health", "amphora_build_request", "quotas", "tags",
		"ottavino_work", "ottavino_event", "ottavino_request_key", "ottavino_amphora_request",
	} {
		out = append(out, "DELETE FROM "+t)
	}
	for _, t := range []string{"flavor", "flavor_profile", "availability_zone_profile"} {
		out = append(out, "DELETE FROM "+t+" WHERE id <> '"+placeholder+"'")
	}
	return append(out, "DELETE FROM availability_zone WHERE name <> '"+placeholder+"'",
		"UPDATE amphora_build_slots SET slots_used = 0", "ALTER TABLE ottavino_event AUTO_INCREMENT = 1")
}

func (m *mariadb) stop() error {
	if m.server == nil {
		return nil
	}
	return m.server.Close()
}
