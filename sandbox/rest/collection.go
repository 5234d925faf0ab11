package rest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// NewID returns a random UUID.
func NewID() string { return uuid.NewString() }

// Doc is a resource as its JSON object.
type Doc = map[string]any

// Collection holds the resources of one kind in the order they were made. Its user holds the service's lock.
type Collection[T any] struct {
	items map[string]*item[T]
	next  int
}

type item[T any] struct {
	value T
	doc   Doc // value rendered when it was put: lists filter on it
	order int
}

// NewCollection makes an empty collection.
func NewCollection[T any]() *Collection[T] { return &Collection[T]{items: map[string]*item[T]{}} }

// Get returns a copy of the resource; changes take effect with Put.
func (c *Collection[T]) Get(id string) (T, bool) {
	it, ok := c.items[id]
	if !ok {
		var none T
		return none, false
	}
	return it.value, true
}

// Put adds or replaces a resource. It panics when T cannot be JSON, which is a bug here.
func (c *Collection[T]) Put(id string, v T) {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("resource that is no JSON: %v", err))
	}
	var doc Doc
	if err := json.Unmarshal(encoded, &doc); err != nil {
		panic(fmt.Sprintf("resource that is no JSON object: %v", err))
	}
	order := c.next
	if old, ok := c.items[id]; ok {
		order = old.order
	} else {
		c.next++
	}
	c.items[id] = &item[T]{value: v, doc: doc, order: order}
}

// Delete removes a resource, if it is there.
func (c *Collection[T]) Delete(id string) { delete(c.items, id) }

// Len is the number of resources.
func (c *Collection[T]) Len() int { return len(c.items) }

// All returns copies of all resources, oldest first.
func (c *Collection[T]) All() []T { return c.Where(func(T) bool { return true }) }

// Where returns copies of the resources that match, oldest first.
func (c *Collection[T]) Where(match func(T) bool) []T {
	var out []T
	for _, it := range c.ordered() {
		if match(it.value) {
			out = append(out, it.value)
		}
	}
	return out
}

func (c *Collection[T]) ordered() []*item[T] {
	return slices.SortedFunc(maps.Values(c.items), func(a, b *item[T]) int { return a.order - b.order })
}

// Page is what a list call asks for: filters, order and paging, from its query.
type Page struct {
	filters    url.Values
	sort       []string // "name" or "name:desc"
	limit      int      // 0 = all
	marker     string
	fields     []string
	descending bool
}

// reserved are query keys that are no filters. Tags are handled apart.
var reserved = []string{"limit", "marker", "sort", "sort_key", "sort_dir", "fields", "page_reverse",
	"tags", "tags-any", "not-tags", "not-tags-any", "tag", "all_tenants", "all_projects", "deleted", "reverse"}

// ParsePage reads a query. ignore names keys that mean nothing to this resource.
func ParsePage(q url.Values, ignore ...string) Page {
	p := Page{filters: maps.Clone(q), marker: q.Get("marker"), fields: q["fields"]}
	p.limit, _ = strconv.Atoi(q.Get("limit"))
	p.descending = strings.HasPrefix(q.Get("sort_dir"), "desc")
	p.sort = append(strings.FieldsFunc(q.Get("sort"), func(r rune) bool { return r == ',' }), q["sort_key"]...)
	for _, k := range slices.Concat(reserved, ignore) {
		delete(p.filters, k)
	}
	return p
}

// List returns the documents of the resources that visible lets through and the page selects.
func (c *Collection[T]) List(p Page, tags url.Values, visible func(T) bool) []Doc {
	out := []Doc{}
	for _, it := range c.ordered() {
		if visible(it.value) && matches(it.doc, p.filters) && matchesTags(it.doc, tags) {
			out = append(out, it.doc)
		}
	}
	p.order(out)
	out = p.cut(out)
	if len(p.fields) == 0 {
		return out
	}
	for i, doc := range out {
		picked := Doc{}
		for _, f := range p.fields {
			if v, ok := doc[f]; ok {
				picked[f] = v
			}
		}
		out[i] = picked
	}
	return out
}

func (p Page) order(docs []Doc) {
	for _, s := range slices.Backward(p.sort) {
		key, dir, _ := strings.Cut(s, ":")
		slices.SortStableFunc(docs, func(a, b Doc) int {
			c := strings.Compare(text(a[key]), text(b[key]))
			if dir == "desc" || dir == "" && p.descending {
				return -c
			}
			return c
		})
	}
}

func (p Page) cut(docs []Doc) []Doc {
	if p.marker != "" {
		if i := slices.IndexFunc(docs, func(d Doc) bool { return d["id"] == p.marker }); i >= 0 {
			docs = docs[i+1:]
		}
	}
	if p.limit > 0 && len(docs) > p.limit {
		docs = docs[:p.limit]
	}
	return docs
}

// matches: every filter has a value that is the attribute's, or one of a list attribute's. "fixed_ips" takes
// Neutron's "ip_address=10.0.0.1" pairs. Attributes that the resource does not have filter nothing.
func matches(doc Doc, filters url.Values) bool {
	for key, wanted := range filters {
		have, ok := doc[key]
		if ok && !slices.ContainsFunc(wanted, func(w string) bool { return holds(have, w) }) {
			return false
		}
	}
	return true
}

func holds(have any, wanted string) bool {
	switch have := have.(type) {
	case []any:
		key, value, pair := strings.Cut(wanted, "=")
		return slices.ContainsFunc(have, func(e any) bool {
			if doc, ok := e.(Doc); ok && pair {
				return holds(doc[key], value)
			}
			return holds(e, wanted)
		})
	case bool:
		return strings.EqualFold(strconv.FormatBool(have), wanted)
	default:
		return text(have) == wanted
	}
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

func matchesTags(doc Doc, q url.Values) bool {
	have, _ := doc["tags"].([]any)
	count := func(key string) (found, asked int) {
		for _, value := range q[key] {
			for t := range strings.SplitSeq(value, ",") {
				asked++
				if slices.Contains(have, any(t)) {
					found++
				}
			}
		}
		return found, asked
	}
	for _, all := range []string{"tags", "tag"} {
		if found, asked := count(all); found < asked {
			return false
		}
	}
	if found, asked := count("tags-any"); asked > 0 && found == 0 {
		return false
	}
	if found, asked := count("not-tags"); asked > 0 && found == asked {
		return false
	}
	found, _ := count("not-tags-any")
	return found == 0
}
