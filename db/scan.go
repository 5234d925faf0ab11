package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"gorm.io/gorm"
)

// scanned runs a query and reads all its rows as models, by the names of their columns. A list is mostly this: gorm's own
// Find takes three times as long, for hooks, relations and types that the models do not have.
func scanned[M any](ctx context.Context, g *gorm.DB) ([]M, error) {
	rows, err := g.WithContext(ctx).Rows()
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	places, err := placesOf[M](g, rows)
	if err != nil {
		return nil, err
	}
	cells := make([]cell, len(places))
	into := make([]any, len(places))
	for i := range cells {
		into[i] = &cells[i]
	}
	out := []M{}
	for rows.Next() {
		out = append(out, *new(M))
		row := reflect.ValueOf(&out[len(out)-1]).Elem()
		for i := range cells {
			cells[i].field = row.FieldByIndex(places[i]).Addr().Interface()
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
	}
	return out, rows.Err()
}

// placesOf finds the field of each column of a result.
func placesOf[M any](g *gorm.DB, rows *sql.Rows) ([][]int, error) {
	table, err := schemaOf[M](g)
	if err != nil {
		return nil, err
	}
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	places := make([][]int, len(names))
	for i, name := range names {
		f := table.FieldsByDBName[name]
		if f == nil {
			return nil, &UnknownColumnError{Column: name}
		}
		places[i] = f.StructField.Index
	}
	return places, nil
}

// cell puts the value of a column into a field; field is a pointer to it. Null leaves zero.
type cell struct{ field any }

// Scan implements sql.Scanner. It takes what the three drivers give, and saves database/sql from finding that out by
// reflection.
func (c *cell) Scan(src any) error {
	switch to := c.field.(type) {
	case *string:
		return put(to, src, asText)
	case **string:
		return putNew(to, src, asText)
	case *bool:
		return put(to, src, asBool)
	case **bool:
		return putNew(to, src, asBool)
	case *int:
		return put(to, src, asInt)
	case **int:
		return putNew(to, src, asInt)
	case *int64:
		return put(to, src, asInt64)
	case **float64:
		return putNew(to, src, asFloat)
	case *time.Time:
		return put(to, src, asTime)
	case **time.Time:
		return putNew(to, src, asTime)
	case *[]byte:
		return put(to, src, asBytes)
	case sql.Scanner:
		return to.Scan(src)
	}
	return fmt.Errorf("no way to read a %T", c.field)
}

func put[T any](to *T, src any, as func(any) (T, error)) error {
	if src == nil {
		return nil
	}
	v, err := as(src)
	*to = v
	return err
}

func putNew[T any](to **T, src any, as func(any) (T, error)) error {
	if src == nil {
		return nil
	}
	*to = new(T)
	return put(*to, src, as)
}

func asText(src any) (string, error) {
	switch v := src.(type) {
	case []byte:
		return string(v), nil
	case string:
		return v, nil
	}
	return "", notA("text", src)
}

func asBytes(src any) ([]byte, error) {
	switch v := src.(type) {
	case []byte:
		return append([]byte{}, v...), nil // the driver's memory
	case string:
		return []byte(v), nil
	}
	return nil, notA("bytes", src)
}

func asInt64(src any) (int64, error) {
	switch v := src.(type) {
	case int64:
		return v, nil
	case []byte:
		return strconv.ParseInt(string(v), 10, 64)
	}
	return 0, notA("number", src)
}

func asInt(src any) (int, error) {
	n, err := asInt64(src)
	return int(n), err
}

func asBool(src any) (bool, error) {
	if v, ok := src.(bool); ok {
		return v, nil
	}
	n, err := asInt64(src)
	return n != 0, err
}

func asFloat(src any) (float64, error) {
	switch v := src.(type) {
	case float64:
		return v, nil
	case float32: // its shortest text: 1.1 is meant, not 1.10000002
		return strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	case int64:
		return float64(v), nil
	case []byte:
		return strconv.ParseFloat(string(v), 64)
	}
	return 0, notA("number", src)
}

func asTime(src any) (time.Time, error) {
	if v, ok := src.(time.Time); ok {
		return v, nil
	}
	return time.Time{}, notA("time", src)
}

func notA(what string, src any) error {
	return errors.New("a column holds a " + reflect.TypeOf(src).String() + ", which is no " + what)
}
