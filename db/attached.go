package db

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// Attached names a list of short texts, ids mostly, that belongs to a row.
type Attached int

// What is attached to rows; attachedSources says where it is and in which order.
const (
	ListTags Attached = iota
	ListSecurityGroups
	ListListeners
	ListPools
	ListMembers
	ListPolicies
	ListRules
	ListSNIs
	ListCIDRs
)

// attachedSource is where a list is: in the rows of a table whose column owner is the id asked for. Its order is that of
// at (a time), then nr (a number), then the value; "" is the same for all.
type attachedSource struct{ table, owner, value, at, nr string }

var attachedSources = map[Attached]attachedSource{
	ListTags:           {table: "tags", owner: "resource_id", value: "tag"},
	ListSecurityGroups: {table: "vip_security_group", owner: "load_balancer_id", value: "sg_id"},
	ListListeners:      {table: "listener", owner: "load_balancer_id", value: "id", at: "created_at"},
	ListPools:          {table: "pool", owner: "load_balancer_id", value: "id", at: "created_at"},
	ListMembers:        {table: "member", owner: "pool_id", value: "id", at: "created_at"},
	ListPolicies:       {table: "l7policy", owner: "listener_id", value: "id", nr: "position"},
	ListRules:          {table: "l7rule", owner: "l7policy_id", value: "id", at: "created_at"},
	ListSNIs:           {table: "sni", owner: "listener_id", value: "tls_container_id", nr: "position"},
	ListCIDRs:          {table: "listener_cidr", owner: "listener_id", value: "cidr"},
}

// Lists are lists of many rows.
type Lists map[listKey][]string

type listKey struct {
	list  Attached
	owner string
}

// Of is a list of the row with an id; nil when it is empty.
func (l Lists) Of(id string, list Attached) []string { return l[listKey{list, id}] }

// Lists reads lists of the rows with these ids, all in one query per started thousand of ids.
func (tx *Tx) Lists(ctx context.Context, ids []string, lists ...Attached) (Lists, error) {
	out := Lists{}
	var parts []string
	for _, l := range lists {
		parts = append(parts, attachedSources[l].query(l))
	}
	query := strings.Join(parts, " UNION ALL ") + " ORDER BY list, made, nr, value"
	return out, chunked(ids, func(ids []string) error {
		args := make([]any, len(lists))
		for i := range args {
			args[i] = ids
		}
		rows, err := tx.db.WithContext(ctx).Raw(query, args...).Rows()
		if err != nil {
			return fmt.Errorf("read lists: %w", err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var key listKey
			var value string
			var made, nr sql.RawBytes
			if err := rows.Scan(&key.list, &key.owner, &value, &made, &nr); err != nil {
				return fmt.Errorf("read lists: %w", err)
			}
			out[key] = append(out[key], value)
		}
		return rows.Err()
	})
}

// query selects one list. Columns to sort by are of one type in all of them.
func (s attachedSource) query(l Attached) string {
	made, nr := "''", "0"
	if s.at != "" {
		made = "COALESCE(CAST(" + s.at + " AS CHAR(19)), '')"
	}
	if s.nr != "" {
		nr = "COALESCE(" + s.nr + ", 0)"
	}
	return fmt.Sprintf("SELECT %d AS list, %s AS owner, %s AS value, %s AS made, %s AS nr FROM %s WHERE %s IN ?",
		l, s.owner, s.value, made, nr, s.table, s.owner)
}
