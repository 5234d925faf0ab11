package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// CORS is [cors]: which web pages may call the API from a browser. The zero value is none.
type CORS struct {
	Origins     []string      // allowed_origin, scheme://host[:port]; * is all
	Credentials bool          // allow_credentials
	MaxAge      time.Duration // max_age, in whole seconds; 0 is not said
	Methods     []string      // allow_methods
	Headers     []string      // allow_headers, besides those in simpleHeaders
	Exposed     []string      // expose_headers
}

// simpleHeaders may always be sent.
var simpleHeaders = []string{
	"Accept", "Accept-Language", "Content-Type", "Cache-Control", "Content-Language", "Expires", "Last-Modified", "Pragma",
}

// origin is what an answer calls the origin of a request; "" is one that may not.
func (c CORS) origin(origin string) string {
	switch {
	case origin == "":
		return ""
	case slices.Contains(c.Origins, origin):
		return origin
	case slices.Contains(c.Origins, "*"):
		return "*"
	}
	return ""
}

// cors tells browsers which pages may read an answer. It refuses nothing: that is theirs.
func (s *Server) cors(next echo.HandlerFunc) echo.HandlerFunc {
	c := s.cfg.CORS
	return func(ctx echo.Context) error {
		r, out := ctx.Request(), ctx.Response().Header()
		origin := c.origin(r.Header.Get("Origin"))
		if origin == "" {
			return next(ctx)
		}
		preflight := r.Method == http.MethodOptions
		if preflight && !c.allows(r.Header) {
			return next(ctx)
		}
		out.Add("Vary", "Origin")
		out.Set("Access-Control-Allow-Origin", origin)
		if c.Credentials {
			out.Set("Access-Control-Allow-Credentials", "true")
		}
		switch {
		case preflight:
			c.promise(r.Header, out)
		case len(c.Exposed) > 0:
			out.Set("Access-Control-Expose-Headers", strings.Join(c.Exposed, ","))
		}
		return next(ctx)
	}
}

// allows says whether the request that a browser asks about may be sent.
func (c CORS) allows(asked http.Header) bool {
	if !slices.Contains(c.Methods, asked.Get("Access-Control-Request-Method")) {
		return false
	}
	for _, name := range askedHeaders(asked) {
		same := func(allowed string) bool { return strings.EqualFold(allowed, name) }
		if !slices.ContainsFunc(c.Headers, same) && !slices.ContainsFunc(simpleHeaders, same) {
			return false
		}
	}
	return true
}

// promise says what a browser asked about.
func (c CORS) promise(asked, out http.Header) {
	out.Set("Access-Control-Allow-Methods", asked.Get("Access-Control-Request-Method"))
	if names := askedHeaders(asked); len(names) > 0 {
		out.Set("Access-Control-Allow-Headers", strings.Join(names, ","))
	}
	if c.MaxAge > 0 {
		out.Set("Access-Control-Max-Age", strconv.Itoa(int(c.MaxAge.Seconds())))
	}
}

func askedHeaders(asked http.Header) []string {
	return strings.FieldsFunc(asked.Get("Access-Control-Request-Headers"), func(r rune) bool { return r == ',' || r == ' ' })
}
