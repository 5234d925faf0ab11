package db

import (
	"context"
	"database/sql/driver"
	"errors"
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
	return implicitConn{whole}, nil
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

type implicitConn struct{ mysqlConn }

// BeginTx implements driver.ConnBeginTx.
func (c implicitConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	return implicitTx{c.mysqlConn}, nil
}

type implicitTx struct{ conn mysqlConn }

// Commit implements driver.Tx.
func (t implicitTx) Commit() error { return t.end("COMMIT") }

// Rollback implements driver.Tx.
func (t implicitTx) Rollback() error { return t.end("ROLLBACK") }

func (t implicitTx) end(statement string) error {
	_, err := t.conn.ExecContext(context.Background(), statement, nil)
	return err
}
