package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// implicit connects so that a transaction begins with its first statement: one round trip less for each that only reads,
// and most have few statements. The session's isolation says what a transaction sees. For MariaDB and MySQL.
type implicit struct{ driver.Connector }

// Connect implements driver.Connector.
func (i *implicit) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := i.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(mysqlConn)
	if !ok {
		return nil, errors.Join(errors.New("driver cannot do what MariaDB's does"), conn.Close())
	}
	if _, err := whole.ExecContext(ctx, "SET SESSION autocommit = 0", nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &implicitConn{mysqlConn: whole}, nil
}

// mysqlConn is all that database/sql asks of a connection of the driver.
type mysqlConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

type implicitConn struct {
	mysqlConn
	begun bool // a transaction is open
}

// BeginTx implements driver.ConnBeginTx.
func (c *implicitConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	return implicitTx{c}, nil
}

// QueryContext implements driver.QueryerContext.
func (c *implicitConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.begun = true
	return c.mysqlConn.QueryContext(ctx, query, args)
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *implicitConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.begun = true
	return c.mysqlConn.PrepareContext(ctx, query)
}

type implicitTx struct{ conn *implicitConn }

// Commit implements driver.Tx.
func (t implicitTx) Commit() error { return t.end("COMMIT") }

// Rollback implements driver.Tx.
func (t implicitTx) Rollback() error { return t.end("ROLLBACK") }

func (t implicitTx) end(statement string) error {
	if !t.conn.begun {
		return nil
	}
	t.conn.begun = false
	if _, err := t.conn.ExecContext(context.Background(), statement, nil); err != nil {
		// Whoever got this connection next would see what this transaction saw: there must be no next.
		return fmt.Errorf("%w: %w", driver.ErrBadConn, err)
	}
	return nil
}
