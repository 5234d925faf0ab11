package api

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// stamp is a time as upstream shows it: UTC, without a zone, and with microseconds where the database keeps them
// (MariaDB's columns do not). A nil *stamp is null.
type stamp string

func stampOf(t *time.Time) *stamp {
	if t == nil {
		return nil
	}
	at, format := t.UTC().Truncate(time.Microsecond), "2006-01-02T15:04:05"
	if at.Nanosecond() != 0 {
		format += ".000000"
	}
	return new(stamp(at.Format(format)))
}

// nullable is a list that may be null; lists of other types never are.
type nullable[T any] []T

// ref is a reference to another object.
type ref struct {
	ID string `json:"id"`
}

// refs are references to objects; never nil.
func refs(ids ...string) []ref {
	out := make([]ref, 0, len(ids))
	for _, id := range ids {
		out = append(out, ref{id})
	}
	return out
}

// orEmpty makes a nil list an empty one, which is [] and not null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// deref is the text, "" for nil.
func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// commaList splits a column that holds a list; null is nil.
func commaList(s *string) []string {
	if s == nil {
		return nil
	}
	return splitList(*s)
}

// joined is the column for a list; nil is null.
func joined(list []string) *string {
	if list == nil {
		return nil
	}
	s := strings.Join(list, ",")
	return &s
}

// writeOne answers with one object under its wrapper key.
func (s *Server) writeOne(c echo.Context, status int, wrapper string, out any) error {
	shown, err := selectFields(out, callOf(c).page.fields)
	if err != nil {
		return err
	}
	body := make([]byte, 0, len(shown)+len(wrapper)+6)
	body = append(append(append(body, `{"`...), wrapper...), `":`...)
	return c.JSONBlob(status, append(append(body, shown...), "}\n"...))
}

// writeList answers with a page of objects. Links are left out when linksKey is "".
func writeList[Out any](s *Server, c echo.Context, wrapper, linksKey string, out []Out, ids []string) error {
	l := s.newListing(c, wrapper, linksKey)
	return l.end(appendTo(l, out, ids))
}

// orNull is the list, or nil.
func orNull[T any](shown bool, list []T) []T {
	if !shown {
		return nil
	}
	return list
}

// requestURL is the URL of the request without its query, as links need it.
func (s *Server) requestURL(c echo.Context) string {
	path := originalPath(c.Request())
	if s.cfg.APIBaseURI != "" {
		return strings.TrimSuffix(s.cfg.APIBaseURI, "/") + path
	}
	return c.Scheme() + "://" + c.Request().Host + path
}

// selectFields marshals an object and keeps the fields asked for; nil keeps all.
func selectFields(out any, fields []string) (json.RawMessage, error) {
	raw, err := json.Marshal(out)
	if err != nil || fields == nil {
		return raw, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	for k := range all {
		// Upstream knows tenant_id only as an alias, which cannot be selected.
		if k == "tenant_id" || !slices.Contains(fields, k) {
			delete(all, k)
		}
	}
	return json.Marshal(all)
}
