package compute

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ottavino/ottavino/cloud"
)

// Glance selects images. Safe for concurrent use.
type Glance struct{ service cloud.Service }

// NewGlance wires a session; it makes no call. An empty e.Type means image.
func NewGlance(s *cloud.Session, e cloud.Endpoint) *Glance {
	e.Type = cmp.Or(e.Type, "image")
	return &Glance{service: cloud.Service{Session: s, Endpoint: e}}
}

// NewestImage returns the newest active image with the tag, of the owner when not "". None: class Final
// with a message that names tag and owner.
func (g *Glance) NewestImage(ctx context.Context, tag, owner string) (Image, error) {
	q := url.Values{"tag": {tag}, "status": {"active"}, "sort": {"created_at:desc"}, "limit": {"1"}}
	if owner != "" {
		q.Set("owner", owner)
	}
	var out struct {
		Images *[]struct {
			ID, Name string
			Created  time.Time `json:"created_at"`
		}
	}
	err := g.service.Do(ctx, cloud.Call{Op: "find image", Method: http.MethodGet, Path: "images", Query: q, Out: &out})
	if err != nil {
		return Image{}, err
	}
	refusal := &cloud.Error{Class: cloud.Final, Service: g.service.Endpoint.Type, Op: "find image", Status: http.StatusOK}
	switch {
	case out.Images == nil:
		refusal.Class, refusal.Message = cloud.Unavailable, "the answer has no list images"
		return Image{}, refusal
	case len(*out.Images) == 0:
		refusal.Message = fmt.Sprintf("no active image has the tag %q", tag)
		if owner != "" {
			refusal.Message += fmt.Sprintf(" and the owner %q", owner)
		}
		return Image{}, refusal
	}
	return Image((*out.Images)[0]), nil
}
