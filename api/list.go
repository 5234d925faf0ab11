package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ottavino/ottavino/db"
)

// page is what the query of a GET says about the rows wanted and their order.
type page struct {
	limit   int // 0 is none
	marker  *string
	reverse bool
	sort    []sortKey
	fields  []string // nil is all
}

type sortKey struct {
	name string
	desc bool
}

// notFilters are the query parameters of lists that are no filters.
var notFilters = []string{
	"limit", "marker", "page_reverse", "sort", "sort_key", "sort_dir", "fields",
	"tags", "tags-any", "not-tags", "not-tags-any", "project_id",
}

// link is an element of a list of links.
type link struct {
	Href string `json:"href"`
	Rel  string `json:"rel"`
}

// parsePage reads the paging, sorting and field selection of a GET.
func (s *Server) parsePage(q url.Values) (page, error) {
	var p page
	var err error
	if !s.cfg.DisablePagination {
		if p.limit, err = s.parseLimit(q); err != nil {
			return p, err
		}
		if q.Has("marker") {
			m := q.Get("marker")
			p.marker = &m
		}
		p.reverse = q.Get("page_reverse") == "True"
	}
	if !s.cfg.DisableSorting {
		if p.sort, err = parseSort(q); err != nil {
			return p, err
		}
	}
	if !s.cfg.DisableFieldSelection && q.Has("fields") {
		p.fields = q["fields"]
	}
	return p, nil
}

func (s *Server) parseLimit(q url.Values) (int, error) {
	highest := max(s.cfg.PaginationMaxLimit, 0)
	text := q.Get("limit")
	switch text {
	case "":
		return highest, nil
	case "infinite":
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, badPaging("Supplied pagination limit '%s' is not valid.", text)
	case n <= 0:
		return 0, nil
	case highest > 0:
		return min(n, highest), nil
	}
	return n, nil
}

func parseSort(q url.Values) ([]sortKey, error) {
	if text := q.Get("sort"); text != "" {
		return parseSortParam(text)
	}
	var keys []sortKey
	dirs := strings.Split(q.Get("sort_dir"), ",")
	for i, name := range splitList(q.Get("sort_key")) {
		dir := ""
		if i < len(dirs) {
			dir = dirs[i]
		}
		desc, err := parseDir(dir)
		if err != nil {
			return nil, err
		}
		keys = append(keys, sortKey{strings.TrimSpace(name), desc})
	}
	return keys, nil
}

// parseSortParam reads key[:dir],…
func parseSortParam(text string) ([]sortKey, error) {
	var keys []sortKey
	for _, item := range splitList(text) {
		parts := strings.Split(strings.TrimSpace(item), ":")
		if len(parts) > 2 {
			return nil, badPaging("Supplied sort key '%s' is not valid.", pyList(parts))
		}
		dir := ""
		if len(parts) == 2 {
			dir = parts[1]
		}
		desc, err := parseDir(dir)
		if err != nil {
			return nil, err
		}
		keys = append(keys, sortKey{parts[0], desc})
	}
	return keys, nil
}

func parseDir(dir string) (desc bool, err error) {
	switch strings.ToLower(strings.TrimSpace(dir)) {
	case "", "asc":
		return false, nil
	case "desc":
		return true, nil
	default:
		return false, badPaging("Supplied sort direction '%s' is not valid.", dir)
	}
}

func badPaging(format string, args ...any) error {
	return &routingFault{status: http.StatusBadRequest, title: "Bad Request", description: fmt.Sprintf(format, args...)}
}

func splitList(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// listQuery turns a request's query into a query of rows. Columns translate API names.
func (s *Server) listQuery(q *call, columns map[string]string) (db.ListQuery, error) {
	out := db.ListQuery{Marker: q.page.marker, Reverse: q.page.reverse, Limit: q.page.limit}
	for _, k := range q.page.sort {
		col, ok := columns[k.name]
		if !ok {
			return out, BadRequest(fmt.Sprintf("Supplied sort key '%s' is not valid.", k.name))
		}
		out.Sort = append(out.Sort, db.Order{Column: col, Desc: k.desc})
	}
	if s.cfg.DisableFiltering {
		return out, nil
	}
	for _, name := range sortedKeys(q.query) {
		if slices.Contains(notFilters, name) {
			continue
		}
		col, ok := columns[name]
		if !ok || len(q.query[name]) != 1 {
			return out, BadRequest("One or more arguments are either duplicate or invalid")
		}
		out.Filters = append(out.Filters, db.Filter{Column: col, Value: q.query.Get(name)})
	}
	out.Tags, out.TagsAny = tagParam(q, "tags"), tagParam(q, "tags-any")
	out.NotTags, out.NotTagsAny = tagParam(q, "not-tags"), tagParam(q, "not-tags-any")
	return out, nil
}

// tagParam reads a parameter that may be repeated and comma separated.
func tagParam(q *call, name string) []string {
	var out []string
	for _, v := range q.query[name] {
		out = append(out, splitList(v)...)
	}
	return out
}

// links are the previous and next page of a list.
func (p page) links(base string, q url.Values, rows span) []link {
	links := []link{}
	if rows.rows == 0 {
		return links
	}
	limit := "None"
	if p.limit > 0 {
		limit = strconv.Itoa(p.limit)
	}
	href := base + "?limit=" + limit
	for _, name := range []string{"sort", "sort_key"} {
		if q.Has(name) {
			href += "&" + name + "=" + url.QueryEscape(q.Get(name))
		}
	}
	if p.marker != nil {
		links = append(links, link{Href: href + "&marker=" + url.QueryEscape(rows.first) + "&page_reverse=True", Rel: "previous"})
	}
	if p.limit == 0 || rows.rows >= p.limit {
		links = append(links, link{Href: href + "&marker=" + url.QueryEscape(rows.last), Rel: "next"})
	}
	return links
}
