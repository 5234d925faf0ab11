package db

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
)

// dsn is a parsed SQLAlchemy URL. One of path, mysql and pg is set.
type dsn struct {
	engine string
	path   string          // SQLite
	mysql  *mysql.Config   // MariaDB and MySQL
	pg     *pgx.ConnConfig // PostgreSQL
	secret string          // the password, to keep it out of errors
}

// redact takes the password out of an error's text; an error without it is returned as it is.
func (d *dsn) redact(err error) error {
	if err == nil || d.secret == "" || !strings.Contains(err.Error(), d.secret) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), d.secret, "***"))
}

// parseURL reads an SQLAlchemy database URL. Its errors never hold the URL, which has a password.
func parseURL(raw string) (*dsn, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errors.New("database URL has no scheme://")
	}
	dialect, _, _ := strings.Cut(scheme, "+")
	if dialect == "sqlite" {
		return parseSQLite(rest)
	}
	u, err := url.Parse("db://" + rest)
	if err != nil {
		return nil, fmt.Errorf("database URL of dialect %q is malformed (is the password percent-encoded?)", dialect)
	}
	if strings.Trim(u.Path, "/") == "" {
		return nil, errors.New("database URL names no database")
	}
	d := &dsn{}
	d.secret, _ = u.User.Password()
	switch dialect {
	case "mysql", "mariadb":
		d.engine = engineMySQL
		d.mysql, err = mysqlConfig(u)
	case "postgresql", "postgres":
		d.engine = enginePostgres
		d.pg, err = postgresConfig(u)
	default:
		return nil, fmt.Errorf("database dialect %q is not supported (mysql, mariadb, postgresql and sqlite are)", dialect)
	}
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", d.redact(err))
	}
	return d, nil
}

func parseSQLite(rest string) (*dsn, error) {
	path, query, _ := strings.Cut(rest, "?")
	path, err := url.PathUnescape(strings.TrimPrefix(path, "/"))
	if err != nil || path == "" || strings.Contains(path, ":memory:") || query != "" {
		return nil, errors.New("SQLite URL must be sqlite:///relative/path or sqlite:////absolute/path; " +
			"databases in memory and options are not supported")
	}
	return &dsn{engine: engineSQLite, path: path}, nil
}

// mysqlConfig maps the options that PyMySQL and SQLAlchemy know.
func mysqlConfig(u *url.URL) (*mysql.Config, error) {
	c := mysql.NewConfig()
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.DBName = strings.TrimPrefix(u.Path, "/")
	c.Net, c.Addr = "tcp", hostPort(u, "3306")
	c.ParseTime, c.Loc = true, time.UTC
	c.ClientFoundRows = true   // rows matched, not rows that differ: Update tells absent from equal
	c.InterpolateParams = true // one round trip for a statement
	c.Timeout = 10 * time.Second
	c.Logger = &mysql.NopLogger{} // what it would say is in the errors
	c.Params = map[string]string{
		"sql_mode":                 "'TRADITIONAL'",
		"time_zone":                "'+00:00'",
		"innodb_lock_wait_timeout": "10",
	}
	charset := "utf8mb4"
	var ssl sslOptions
	for key, values := range u.Query() {
		value := values[len(values)-1]
		if key == "charset" {
			charset = value
			continue
		}
		known, err := setMySQL(c, key, value)
		if !known {
			err = ssl.set(key, value)
		}
		if err != nil {
			return nil, fmt.Errorf("option %s: %w", key, err)
		}
	}
	return finishMySQL(c, charset, &ssl)
}

// setMySQL applies one option but charset and ssl ones.
func setMySQL(c *mysql.Config, key, value string) (known bool, err error) {
	switch key {
	case "collation":
		c.Collation = value
	case "unix_socket":
		c.Net, c.Addr = "unix", value
	case "connect_timeout":
		c.Timeout, err = seconds(value)
	case "read_timeout":
		c.ReadTimeout, err = seconds(value)
	case "write_timeout":
		c.WriteTimeout, err = seconds(value)
	case "sql_mode":
		c.Params["sql_mode"] = "'" + strings.ReplaceAll(value, "'", "") + "'"
	case "plugin", "binary_prefix", "use_unicode", "local_infile", "autocommit":
		// They tune SQLAlchemy or PyMySQL and mean nothing here.
	default:
		return false, nil
	}
	return true, err
}

func finishMySQL(c *mysql.Config, charset string, ssl *sslOptions) (*mysql.Config, error) {
	switch charset {
	case "utf8mb4", "utf8mb3", "utf8", "ascii", "latin1":
	default: // in others a quote can hide inside a character
		return nil, fmt.Errorf("charset %q is not supported (utf8mb4 is)", charset)
	}
	if err := c.Apply(mysql.Charset(charset, c.Collation)); err != nil {
		return nil, err
	}
	var err error
	c.TLS, err = ssl.config(c.Addr)
	return c, err
}

// pgOptions are the libpq options taken from a URL; all are handed on.
var pgOptions = map[string]bool{
	"sslmode": true, "sslrootcert": true, "sslcert": true, "sslkey": true, "sslpassword": true,
	"connect_timeout": true, "application_name": true, "options": true, "target_session_attrs": true,
	"host": true, "port": true, "service": true, "passfile": true,
}

func postgresConfig(u *url.URL) (*pgx.ConnConfig, error) {
	query := u.Query()
	for key := range query {
		switch {
		case key == "client_encoding": // always UTF-8
			query.Del(key)
		case !pgOptions[key]:
			return nil, fmt.Errorf("option %s is not supported", key)
		}
	}
	if !query.Has("connect_timeout") {
		query.Set("connect_timeout", "10")
	}
	libpq := url.URL{Scheme: "postgres", User: u.User, Host: u.Host, Path: u.Path, RawQuery: query.Encode()}
	c, err := pgx.ParseConfig(libpq.String())
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), libpq.String(), "URL"))
	}
	c.RuntimeParams["timezone"] = "UTC"
	c.RuntimeParams["lock_timeout"] = "10s" // Store.Tx tries again
	return c, nil
}

func hostPort(u *url.URL, port string) string {
	host := u.Hostname()
	if host == "" {
		host = "localhost"
	}
	if p := u.Port(); p != "" {
		port = p
	}
	return net.JoinHostPort(host, port)
}

func seconds(text string) (time.Duration, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a number of seconds", text)
	}
	return time.Duration(n * float64(time.Second)), nil
}

// isTrue reads a boolean as SQLAlchemy and Octavia's filters do; any other text is false.
func isTrue(text string) bool {
	switch strings.ToLower(text) {
	case "1", "t", "true", "on", "y", "yes":
		return true
	}
	return false
}
