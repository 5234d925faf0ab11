package api

import "time"

// LookEvery sets how often the server looks for what other processes did to load balancers that requests wait for.
func (s *Server) LookEvery(d time.Duration) { s.watch.every = d }

// Waiting is how many requests wait for a load balancer, and whether somebody looks for them.
func (s *Server) Waiting() (requests int, looking bool) {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	return len(s.watch.waiting), s.watch.stop != nil
}

// Collection is a row of the table of resources, as tests see it.
type Collection struct {
	Path              string // "/members"; below its parent's with one
	Parent            string // "pools"
	Singular, Plural  string // wrapper keys
	Links             string // wrapper key
	PostArg, PutArg   string // names of the body in faults
	Title             string // in faults
	Kind              string
	Columns           []string // filters and sort keys
	Post, Put, Delete bool     // is routed
	Tagged            bool     // has tag filters
	Statuses          bool     // is locked with its load balancer
}

// Collections are the rows of the table of resources, and the amphorae.
func (s *Server) Collections() []Collection {
	var out []Collection
	for _, r := range append(s.resources(), s.amphorae()) {
		out = append(out, r.(interface{ collection() Collection }).collection())
	}
	return out
}

func (r *resource[M, In, Out]) collection() Collection {
	c := Collection{
		Path: "/" + r.plural, Singular: r.singular, Plural: r.plural, Links: r.links, PostArg: r.postArg, PutArg: r.putArg,
		Title: titles[string(r.kind)], Kind: string(r.kind), Post: r.decodeNew != nil, Put: r.decodeChange != nil,
		Delete: r.marks != nil, Statuses: r.update != nil, Tagged: r.update != nil,
	}
	if r.path != "" {
		c.Path = r.path
	}
	if r.links == "" {
		c.Links = r.plural + "_links"
	}
	if r.parent != nil {
		c.Parent = r.parent.path
	}
	for name := range r.columns {
		c.Columns = append(c.Columns, name)
	}
	return c
}

func (r *catalogue[M, In, Out]) collection() Collection {
	c := r.resource.collection()
	c.Delete = true
	return c
}
