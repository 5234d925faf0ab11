package db

import (
	"database/sql"
	"fmt"

	"gorm.io/gorm"
)

// Pool gives tests the connections for writing, to look at what is really in the database.
func (s *Store) Pool() *sql.DB {
	pool, err := s.db.DB()
	if err != nil {
		panic(err)
	}
	return pool
}

// ParseURL makes a DSN of a URL, for tests: MariaDB's or PostgreSQL's connection string, or SQLite's path.
func ParseURL(raw string) (string, error) {
	d, err := parseURL(raw)
	switch {
	case err != nil:
		return "", err
	case d.mysql != nil:
		text := d.mysql.FormatDSN()
		if t := d.mysql.TLS; t != nil && t.VerifyConnection != nil {
			text += " tls, verified: chain"
		} else if t != nil {
			text += fmt.Sprintf(" tls, verified: %v", !t.InsecureSkipVerify)
		}
		return text, nil
	case d.pg != nil:
		return d.pg.ConnString(), nil
	}
	return d.path, nil
}

// OnRead calls fn for every query of reading transactions from now on.
func (s *Store) OnRead(fn func()) error {
	return s.read.Callback().Row().After("gorm:row").Register("count", func(*gorm.DB) { fn() })
}

// DoWithoutSkipLocked makes a store claim as on an engine without SKIP LOCKED.
func (s *Store) DoWithoutSkipLocked() { s.skipLocked = false }
