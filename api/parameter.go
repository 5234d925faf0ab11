package api

import (
	"maps"
	"slices"
	"strings"
)

// flag describes a query parameter that is read as upstream reads booleans.
func flag(name, description string) *parameter {
	return &parameter{Name: name, In: "query", Description: description, Schema: plain("boolean")}
}

// keyParameter describes the header that lets a client send a POST again.
func keyParameter() *parameter {
	return &parameter{
		Name: keyHeader, In: "header", Description: "Of requests with the same key one makes something, and all get its answer.",
		Schema: &schema{Type: types{"string"}, Pattern: "^[ -~]+$", MinLength: 1, MaxLength: longestKey},
	}
}

func queryText(name, description string) *parameter {
	return &parameter{Name: name, In: "query", Description: description, Schema: plain("string")}
}

// waitParameter describes how long a GET of a load balancer waits for it.
func waitParameter() *parameter {
	return &parameter{
		Name: "wait", In: "query", Description: "Seconds to wait until the load balancer is not PENDING_* any more.",
		Schema: &schema{Type: types{"integer"}, Minimum: new(0), Maximum: new(longestWait)},
	}
}

// queryList describes a list, which is repeated, or one text with commas.
func queryList(name, description string, repeated bool, of *schema) *parameter {
	return &parameter{
		Name: name, In: "query", Description: description, Explode: &repeated,
		Schema: &schema{Type: types{"array"}, Items: of},
	}
}

// selection describes the choice of attributes, which every answer with objects has.
func (s *Server) selection() []*parameter {
	if s.cfg.DisableFieldSelection {
		return nil
	}
	return []*parameter{queryList("fields", "Attributes to show; absent: all of them.", true, plain("string"))}
}

// listParameters describes the query of a list. Columns are its filters and sort keys.
func (s *Server) listParameters(columns map[string]string, tagged bool) []*parameter {
	out := slices.Concat(s.selection(), s.pageParameters(), s.sortParameters(columns))
	if s.cfg.DisableFiltering {
		return out
	}
	names := slices.Sorted(maps.Keys(columns))
	if _, ok := columns["project_id"]; !ok {
		names = append(names, "project_id")
	}
	for _, name := range names {
		out = append(out, queryText(name, "Filter."))
	}
	if tagged {
		text := plain("string")
		out = append(out,
			queryList("tags", "Filter: has all of these tags.", true, text),
			queryList("tags-any", "Filter: has at least one of these tags.", true, text),
			queryList("not-tags", "Filter: does not have all of these tags.", true, text),
			queryList("not-tags-any", "Filter: has none of these tags.", true, text))
	}
	return out
}

func (s *Server) pageParameters() []*parameter {
	if s.cfg.DisablePagination {
		return nil
	}
	limit := queryText("limit", "Size of a page; infinite and 0: everything.")
	limit.Schema.Pattern = `^(-?\d+|infinite)$`
	reverse := queryText("page_reverse", "True: the page before the marker.")
	reverse.Schema.Enum = []any{"True", "False"}
	return []*parameter{limit, queryText("marker", "Last object of the page before this one."), reverse}
}

func (s *Server) sortParameters(columns map[string]string) []*parameter {
	if s.cfg.DisableSorting {
		return nil
	}
	keys := slices.Sorted(maps.Keys(columns))
	dir := oneOf("string", "asc", "desc")
	return []*parameter{
		queryList("sort", "Sort keys, each with a direction or without.", false, &schema{
			Type: types{"string"}, Pattern: "^(" + strings.Join(keys, "|") + ")(:(asc|desc))?$",
		}),
		queryList("sort_key", "Sort keys, when there is no sort.", false, oneOf("string", keys...)()),
		queryList("sort_dir", "Directions of the sort keys.", false, dir()),
	}
}
