package db

import "strings"

// octaviaHead is the alembic revision of Octavia whose schema this package knows.
const octaviaHead = "fabf4983846b"

// Placeholder is the id (for availability zones: the name) of the placeholder rows that DELETED
// load balancers point at once their flavor or availability zone is gone.
const Placeholder = "00000000-0000-0000-0000-000000000000"

// primaryKey is what DuplicateError calls a table's primary key.
const primaryKey = "PRIMARY"

// columnType is a type that each engine spells its own way.
type columnType int

const (
	typeText columnType = iota // varchar(size)
	typeInt
	typeBig
	typeBool
	typeTime   // to the second
	typeMillis // to the millisecond
	typeBlob
	typeFloat
	typeLong   // text without limit
	typeBody   // bytes of up to 16 MiB
	typeSerial // an integer primary key the engine counts
)

// column describes one column; it is NOT NULL unless optional.
type column struct {
	name     string
	typ      columnType
	size     int
	optional bool
	def      string // SQL of the default; "true" and "false" for booleans
	ref      string // "table.column" of the foreign key
	refName  string // name of the foreign key and, on MariaDB, of its index
}

func (c column) opt() column               { c.optional = true; return c }
func (c column) byDefault(s string) column { c.def = s; return c }

// refs makes the column a foreign key. Without a name MariaDB calls its index after the column.
func (c column) refs(target, name string) column { c.ref, c.refName = target, name; return c }

// index is a key beside the primary one.
type index struct {
	name    string
	columns string // comma separated
	unique  bool
}

// table describes a table, its indexes but those of foreign keys, and the rows it is born with.
type table struct {
	name    string
	columns []column
	primary string // columns, comma separated
	indexes []index
	rows    [][]any // in the order of columns
}

func text(name string, size int) column { return column{name: name, typ: typeText, size: size} }
func id(name string) column             { return text(name, 36) }
func integer(name string) column        { return column{name: name, typ: typeInt} }
func big(name string) column            { return column{name: name, typ: typeBig} }
func boolean(name string) column        { return column{name: name, typ: typeBool} }
func datetime(name string) column       { return column{name: name, typ: typeTime} }
func millis(name string) column         { return column{name: name, typ: typeMillis}.opt() }
func long(name string) column           { return column{name: name, typ: typeLong} }

func provisioning(t string) column {
	return text("provisioning_status", 16).refs("provisioning_status.name", "fk_"+t+"_provisioning_status_name")
}

func operating(t string) column {
	return text("operating_status", 16).refs("operating_status.name", "fk_"+t+"_operating_status_name")
}

func unique(name, columns string) index { return index{name: name, columns: columns, unique: true} }

// lookup is a table of enumerated names; clients never see the descriptions.
func lookup(name string, size int, names ...string) table {
	t := table{name: name, columns: []column{text("name", size), text("description", 255).opt()}, primary: "name"}
	for _, n := range names {
		t.rows = append(t.rows, []any{n, nil})
	}
	return t
}

// lookupTables are Octavia's enumerations.
func lookupTables() []table {
	modes := table{name: "client_authentication_mode", columns: []column{text("name", 10)}, primary: "name"}
	modes.rows = [][]any{{"NONE"}, {"OPTIONAL"}, {"MANDATORY"}}
	return []table{
		lookup("provisioning_status", 16, Active, Allocated, Booting, Deleted, Error, FailoverStopped,
			PendingCreate, PendingDelete, PendingUpdate, Ready),
		lookup("operating_status", 16, Online, Offline, Degraded, OpError, NoMonitor, Draining),
		lookup("protocol", 16, "HTTP", "HTTPS", "TCP", "TERMINATED_HTTPS", "PROXY", "PROXYV2", "UDP", "SCTP", "PROMETHEUS"),
		lookup("algorithm", 255, "ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT"),
		lookup("health_monitor_type", 36, "HTTP", "HTTPS", "TCP", "PING", "TLS-HELLO", "UDP-CONNECT", "SCTP"),
		lookup("session_persistence_type", 16, "SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE"),
		lookup("l7rule_type", 36, "HOST_NAME", "PATH", "FILE_TYPE", "HEADER", "COOKIE",
			"SSL_CONN_HAS_CERT", "SSL_VERIFY_RESULT", "SSL_DN_FIELD"),
		lookup("l7rule_compare_type", 36, "REGEX", "STARTS_WITH", "ENDS_WITH", "CONTAINS", "EQUAL_TO"),
		lookup("l7policy_action", 36, "REJECT", "REDIRECT_TO_URL", "REDIRECT_TO_POOL", "REDIRECT_PREFIX"),
		lookup("amphora_roles", 36, "MASTER", "BACKUP", "STANDALONE"),
		lookup("lb_topology", 36, "SINGLE", "ACTIVE_STANDBY"),
		lookup("vrrp_auth_method", 16, "PASS", "AH"),
		modes,
	}
}

// uniqueKeyOf names the unique key over columns ("a, b") of a table; the columns themselves
// when the schema has none.
func uniqueKeyOf(tableName, columns string) string {
	columns = strings.ReplaceAll(columns, " ", "")
	for _, t := range append(octaviaTables(), ottavinoTables()...) {
		if t.name != tableName {
			continue
		}
		if t.primary == columns {
			return primaryKey
		}
		for _, i := range t.indexes {
			if i.unique && i.columns == columns {
				return i.name
			}
		}
	}
	return columns
}
