// Package glance is the sandbox's image service: images are only names with tags.
package glance

import (
	"net/http"
	"time"

	"github.com/ottavino/ottavino/sandbox/rest"
)

// Image is an image.
type Image struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Status     string   `json:"status"`
	Owner      string   `json:"owner"`
	Visibility string   `json:"visibility"`
	Tags       []string `json:"tags"`
	DiskFormat string   `json:"disk_format"`
	Container  string   `json:"container_format"`
	MinDisk    int      `json:"min_disk"` // GB
	MinRAM     int      `json:"min_ram"`  // MB
	Size       int64    `json:"size"`     // bytes
	CreatedAt  string   `json:"created_at"`
	UpdatedAt  string   `json:"updated_at"`
}

// Glance is the service.
type Glance struct {
	*rest.Service
	URL    string // of itself, without a version; set before the first call
	images *rest.Collection[Image]
	now    func() time.Time
}

// New makes a Glance without images. now nil means time.Now.
func New(hub *rest.Hub, auth rest.Authenticator, now func() time.Time) *Glance {
	if now == nil {
		now = time.Now
	}
	g := &Glance{Service: rest.NewService("image", hub, auth, fail), images: rest.NewCollection[Image](), now: now}
	g.HandleOpen("GET /{$}", g.versions)
	g.HandleOpen("GET /versions", g.versions)
	resource := &rest.Resource[Image]{
		Path: "/v2/images", Singular: "image", Plural: "images", Items: g.images,
		ID: func(v *Image) *string { return &v.ID },
		Visible: func(r *rest.Request, v Image) bool {
			return r.Admin() || v.Owner == r.ProjectID || v.Visibility == "public"
		},
	}
	g.Handle("GET /v2/images", func(r *rest.Request) (int, any, error) {
		q := r.URL.Query()
		docs := g.images.List(rest.ParsePage(q), q, func(v Image) bool { return resource.Visible(r, v) })
		return http.StatusOK, rest.Doc{"images": docs, "first": "/v2/images", "schema": "/v2/schemas/images"}, nil
	})
	// Glance shows one image without an envelope.
	g.Handle("GET /v2/images/{id}", g.show(resource))
	g.Handle("GET /v2/schemas/image", func(*rest.Request) (int, any, error) { return http.StatusOK, schema, nil })
	return g
}

// schema says what an image has; Python's glanceclient reads it before it lists images.
var schema = func() rest.Doc {
	text := rest.Doc{"type": "string"}
	properties := rest.Doc{
		"tags": rest.Doc{"type": "array", "items": text}, "min_disk": rest.Doc{"type": "integer"}, "min_ram": rest.Doc{"type": "integer"},
		"size": rest.Doc{"type": []string{"null", "integer"}},
	}
	for _, name := range []string{"id", "name", "status", "owner", "visibility", "disk_format", "container_format", "created_at", "updated_at"} {
		properties[name] = text
	}
	return rest.Doc{"name": "image", "properties": properties, "additionalProperties": text}
}()

func (g *Glance) show(res *rest.Resource[Image]) rest.Handler {
	return func(r *rest.Request) (int, any, error) {
		v, err := res.Find(r, r.PathValue("id"))
		return http.StatusOK, v, err
	}
}

func fail(e *rest.Error) any {
	return rest.Doc{"code": e.Status, "title": http.StatusText(e.Status), "message": e.Message}
}

func (g *Glance) versions(*rest.Request) (int, any, error) {
	return http.StatusMultipleChoices, rest.Doc{"versions": []any{rest.Doc{
		"id": "v2.16", "status": "CURRENT", "links": []any{rest.Doc{"rel": "self", "href": g.URL + "/v2/"}},
	}}}, nil
}

// Add makes an active image.
func (g *Glance) Add(name, owner string, tags ...string) Image {
	g.Lock.Lock()
	defer g.Lock.Unlock()
	at := g.now().UTC().Format(time.RFC3339)
	i := Image{
		ID: rest.NewID(), Name: name, Status: "active", Owner: owner, Visibility: "private", Tags: tags,
		DiskFormat: "qcow2", Container: "bare", CreatedAt: at, UpdatedAt: at,
	}
	g.images.Put(i.ID, i)
	return i
}

// Image returns an image by id.
func (g *Glance) Image(id string) (Image, bool) {
	g.Lock.Lock()
	defer g.Lock.Unlock()
	return g.images.Get(id)
}
