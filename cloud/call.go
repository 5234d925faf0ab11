package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
)

// maxPages bounds a list whose service never says that it ends.
const maxPages = 1000

// Service calls one OpenStack service. Its errors are *Error. Safe for concurrent use.
type Service struct {
	Session      *Session
	Endpoint     Endpoint
	Microversion string // "" = none is sent
	Token        string // of the user to call as; "" = the session's own
}

// Call is one HTTP call of a service.
type Call struct {
	Op     string // our verb, for errors
	Method string
	Path   string     // below the service's URL, without slash in front; ids come through ID
	Query  url.Values // may be nil
	Header map[string]string
	In     any     // JSON to send; nil = no body
	Out    any     // where the answer's JSON goes; nil = not read
	Raw    *[]byte // where the answer's bytes go as they are; instead of Out, and at most 1 MiB
	OK     []int   // expected statuses; nil = 200, 201, 202, 204: services differ in which they use
}

// ID makes a name part of a path safe: ids come from users and databases.
func ID(id string) string {
	if id == "" || id == "." || id == ".." {
		return "-" // never the collection above
	}
	return url.PathEscape(id)
}

// Do performs a call.
func (s Service) Do(ctx context.Context, c Call) error {
	client, err := s.client(ctx)
	if err != nil {
		return err
	}
	address := client.ServiceURL(c.Path)
	if len(c.Query) > 0 {
		address += "?" + c.Query.Encode()
	}
	return s.request(ctx, client, c, address)
}

func (s Service) client(ctx context.Context) (*gophercloud.ServiceClient, error) {
	var (
		client *gophercloud.ServiceClient
		err    error
	)
	if s.Token == "" {
		client, err = s.Session.Client(ctx, s.Endpoint)
	} else {
		client, err = s.Session.ClientAs(ctx, s.Endpoint, s.Token)
	}
	if err != nil {
		return nil, err
	}
	client.Microversion = s.Microversion
	return client, nil
}

func (s Service) request(ctx context.Context, client *gophercloud.ServiceClient, c Call, address string) error {
	if c.OK == nil {
		c.OK = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}
	}
	if c.Raw != nil {
		return Classify(s.Endpoint.Type, c.Op, readRaw(ctx, client, c, address))
	}
	//nolint:bodyclose // gophercloud closes it: KeepResponseBody is off
	_, err := client.Request(ctx, c.Method, address, &gophercloud.RequestOpts{
		JSONBody: c.In, JSONResponse: c.Out, OkCodes: c.OK, MoreHeaders: c.Header,
	})
	return Classify(s.Endpoint.Type, c.Op, err)
}

// maxRaw bounds an answer that is not JSON, in bytes.
const maxRaw = 1 << 20

func readRaw(ctx context.Context, client *gophercloud.ServiceClient, c Call, address string) error {
	resp, err := client.Request(ctx, c.Method, address, &gophercloud.RequestOpts{
		OkCodes: c.OK, MoreHeaders: c.Header, KeepResponseBody: true,
	})
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	*c.Raw, err = io.ReadAll(io.LimitReader(resp.Body, maxRaw))
	return err
}

// List performs a GET and returns the list under key, with all its further pages. An answer
// without the list is an error and never an empty list.
func List[T any](ctx context.Context, s Service, c Call, key string) ([]T, error) {
	client, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	c.Method = http.MethodGet
	address := client.ServiceURL(c.Path)
	if len(c.Query) > 0 {
		address += "?" + c.Query.Encode()
	}
	var all []T
	for range maxPages {
		var page map[string]json.RawMessage
		c.Out = &page
		if err := s.request(ctx, client, c, address); err != nil {
			return nil, err
		}
		var items *[]T
		if err := json.Unmarshal(orNull(page[key]), &items); err != nil || items == nil {
			return nil, s.garbage(c.Op, "the answer has no list "+key, err)
		}
		all = append(all, *items...)
		next := nextPage(page, key)
		if next == "" {
			return all, nil
		}
		if address, err = follow(address, next); err != nil {
			return nil, s.garbage(c.Op, "the next page's link is no URL", err)
		}
	}
	return nil, s.garbage(c.Op, "the list does not end", nil)
}

func (s Service) garbage(op, message string, err error) error {
	if err == nil {
		err = errors.New(message)
	}
	return &Error{Class: Unavailable, Service: s.Endpoint.Type, Op: op, Status: http.StatusOK, Message: message, Err: err}
}

func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

// nextPage finds the link to the next page: Nova and Neutron have <key>_links, Glance next.
func nextPage(page map[string]json.RawMessage, key string) string {
	var next string
	if json.Unmarshal(page["next"], &next) == nil && next != "" {
		return next
	}
	var links []struct{ Rel, Href string }
	_ = json.Unmarshal(orNull(page[key+"_links"]), &links) // no links, no next page
	for _, l := range links {
		if l.Rel == "next" {
			return l.Href
		}
	}
	return ""
}

// follow takes only the query of a link: behind a proxy services write hosts and schemes
// that lead nowhere, and our token must not go there.
func follow(current, next string) (string, error) {
	link, err := url.Parse(next)
	if err != nil {
		return "", err
	}
	path, _, _ := strings.Cut(current, "?")
	return path + "?" + link.RawQuery, nil
}
