package db

import (
	"errors"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"
)

// lostRace says that a transaction failed only because of others running at the same time,
// so that running it again helps.
func lostRace(err error) bool {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		// lock wait timeout, deadlock, record changed since read, Galera not ready
		return slices.Contains([]uint16{1205, 1213, 1020, 1047}, e.Number)
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		// serialization failure, deadlock, lock not available
		return slices.Contains([]string{"40001", "40P01", "55P03"}, e.Code)
	}
	if e, ok := errors.AsType[sqlite3.Error](err); ok {
		return e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked
	}
	return false
}

// unfit says that the engine refused a value for what it is. SQLite refuses none.
func unfit(err error) bool {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		// out of range, characters that the column's charset lacks, too long
		return slices.Contains([]uint16{1264, 1366, 1406}, e.Number)
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		// too long, out of range, not in the database's encoding, untranslatable
		return slices.Contains([]string{"22001", "22003", "22021", "22P05"}, e.Code)
	}
	return false
}

// duplicateKey returns the name of the unique key that an insert or update ran into: the
// name of an index of the schema, or PRIMARY.
func duplicateKey(err error, table string) (key string, dup bool) {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == 1062 {
		_, key, _ = strings.Cut(e.Message, "for key '")
		key = strings.TrimSuffix(key, "'")
		return key[strings.LastIndexByte(key, '.')+1:], true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "23505" {
		if e.ConstraintName == table+"_pkey" {
			return primaryKey, true
		}
		return e.ConstraintName, true
	}
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok || e.Code != sqlite3.ErrConstraint {
		return "", false
	}
	switch e.ExtendedCode {
	case sqlite3.ErrConstraintPrimaryKey, sqlite3.ErrConstraintRowID:
		return primaryKey, true
	case sqlite3.ErrConstraintUnique:
		_, columns, _ := strings.Cut(e.Error(), "failed: ")
		return uniqueKeyOf(table, strings.ReplaceAll(columns, table+".", "")), true
	}
	return "", false
}
