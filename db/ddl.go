package db

import (
	"fmt"
	"strings"
)

// types are the engines' spellings of column types.
var types = map[string]map[columnType]string{
	engineSQLite: {
		typeText: "varchar(%d)", typeInt: "integer", typeBig: "bigint", typeBool: "boolean", typeTime: "datetime",
		typeMillis: "datetime", typeBlob: "blob", typeFloat: "float", typeLong: "text", typeSerial: "integer",
		typeBody: "blob",
	},
	engineMySQL: {
		typeText: "varchar(%d)", typeInt: "int", typeBig: "bigint", typeBool: "tinyint(1)", typeTime: "datetime",
		typeMillis: "datetime(3)", typeBlob: "blob", typeFloat: "float", typeLong: "text", typeSerial: "int AUTO_INCREMENT",
		typeBody: "mediumblob",
	},
	enginePostgres: {
		typeText: "varchar(%d)", typeInt: "integer", typeBig: "bigint", typeBool: "boolean", typeTime: "timestamp(0)",
		typeMillis: "timestamp(3)", typeBlob: "bytea", typeFloat: "double precision", typeLong: "text", typeSerial: "serial",
		typeBody: "bytea",
	},
}

// quote quotes an identifier; each of a comma separated list.
func quote(engine, names string) string {
	q := `"`
	if engine == engineMySQL {
		q = "`"
	}
	parts := strings.Split(names, ",")
	for i, p := range parts {
		parts[i] = q + p + q
	}
	return strings.Join(parts, ", ")
}

// createTable returns the statements that make a table and its indexes. They do nothing
// where it is there already, so that a half done migration (MariaDB commits each statement)
// can be run again.
func createTable(engine string, t *table) []string {
	var lines []string
	for _, c := range t.columns {
		lines = append(lines, columnDDL(engine, c))
	}
	lines = append(lines, "PRIMARY KEY ("+quote(engine, t.primary)+")")
	var after []string
	for _, i := range t.indexes {
		switch {
		case i.unique:
			lines = append(lines, fmt.Sprintf("CONSTRAINT %s UNIQUE (%s)", quote(engine, i.name), quote(engine, i.columns)))
		case engine == engineMySQL:
			lines = append(lines, fmt.Sprintf("KEY %s (%s)", quote(engine, i.name), quote(engine, i.columns)))
		default:
			after = append(after, createIndex(engine, t.name, i))
		}
	}
	for _, c := range t.columns {
		if c.ref == "" {
			continue
		}
		lines = append(lines, foreignKey(engine, c))
		if i, ok := foreignIndex(engine, t, c); ok {
			after = append(after, createIndex(engine, t.name, i))
		}
	}
	ddl := fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (\n  %s\n)", quote(engine, t.name), strings.Join(lines, ",\n  "))
	if engine == engineMySQL {
		ddl += " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
	}
	return append([]string{ddl}, after...)
}

func columnDDL(engine string, c column) string {
	typ := types[engine][c.typ]
	if c.typ == typeText {
		typ = fmt.Sprintf(typ, c.size)
	}
	ddl := quote(engine, c.name) + " " + typ
	if !c.optional {
		ddl += " NOT NULL"
	}
	if c.def != "" {
		ddl += " DEFAULT " + c.def
	}
	return ddl
}

func foreignKey(engine string, c column) string {
	to, column, _ := strings.Cut(c.ref, ".")
	ddl := fmt.Sprintf("FOREIGN KEY (%s) REFERENCES %s (%s)", quote(engine, c.name), quote(engine, to), quote(engine, column))
	if c.refName == "" {
		return ddl
	}
	return "CONSTRAINT " + quote(engine, c.refName) + " " + ddl
}

// foreignIndex is the index under a foreign key, which only MariaDB makes by itself. Those to
// enumerations, which are never deleted from, need none.
func foreignIndex(engine string, t *table, c column) (index, bool) {
	if engine == engineMySQL || strings.HasSuffix(c.ref, ".name") && c.name != "availability_zone" {
		return index{}, false
	}
	covered := []string{t.primary}
	for _, i := range t.indexes {
		covered = append(covered, i.columns)
	}
	for _, columns := range covered {
		if columns == c.name || strings.HasPrefix(columns, c.name+",") {
			return index{}, false
		}
	}
	return index{name: "ix_" + t.name + "_" + c.name, columns: c.name}, true
}

func createIndex(engine, table string, i index) string {
	return fmt.Sprintf("CREATE INDEX IF NOT EXISTS %s ON %s (%s)",
		quote(engine, i.name), quote(engine, table), quote(engine, i.columns))
}

func dropIndex(engine, table string, i index) string {
	ddl := "DROP INDEX IF EXISTS " + quote(engine, i.name)
	if engine == engineMySQL {
		ddl += " ON " + quote(engine, table)
	}
	return ddl
}

// insertRow returns a statement that adds a row unless its primary key is taken, and its arguments.
func insertRow(engine string, t *table, row []any) (string, []any) {
	var names, marks []string
	for i := range row {
		names = append(names, quote(engine, t.columns[i].name))
		mark := "?"
		if engine == enginePostgres {
			mark = fmt.Sprintf("$%d", i+1)
		}
		marks = append(marks, mark)
	}
	verb, conflict := "INSERT INTO", " ON CONFLICT DO NOTHING"
	if engine == engineMySQL {
		verb, conflict = "INSERT IGNORE INTO", ""
	}
	return fmt.Sprintf("%s %s (%s) VALUES (%s)%s", verb, quote(engine, t.name),
		strings.Join(names, ", "), strings.Join(marks, ", "), conflict), row
}

func addColumn(engine, table string, c column) string {
	ifAbsent := "IF NOT EXISTS " // MariaDB commits each statement, so that a half done migration is run again
	if engine == engineSQLite {
		ifAbsent = ""
	}
	return "ALTER TABLE " + quote(engine, table) + " ADD COLUMN " + ifAbsent + columnDDL(engine, c)
}

func dropColumn(engine, table string, c column) string {
	ifThere := "IF EXISTS "
	if engine == engineSQLite {
		ifThere = ""
	}
	return "ALTER TABLE " + quote(engine, table) + " DROP COLUMN " + ifThere + quote(engine, c.name)
}
