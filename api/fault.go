package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// Fault is an error that a client sees as it is: a status and upstream's text.
type Fault struct {
	Status int    // HTTP
	Text   string // faultstring
	Err    error  // what is behind it, for the log; may be nil
}

func (f *Fault) Error() string { return f.Text }

func (f *Fault) Unwrap() error { return f.Err }

// BadRequest is a 400 fault.
func BadRequest(text string) *Fault { return &Fault{Status: http.StatusBadRequest, Text: text} }

// Invalid is the 400 fault `Validation failure: <detail>`.
func Invalid(detail string) *Fault { return BadRequest("Validation failure: " + detail) }

func conflict(text string) *Fault { return &Fault{Status: http.StatusConflict, Text: text} }

func notFound(title, id string) *Fault {
	return &Fault{Status: http.StatusNotFound, Text: fmt.Sprintf("%s %s not found.", title, id)}
}

// notAnOption is upstream's InvalidOption.
func notAnOption(value, option string) *Fault {
	return BadRequest(fmt.Sprintf("%s is not a valid option for %s", value, option))
}

// disabled is upstream's DisabledOption.
func disabled(option, value string) *Fault {
	return BadRequest(fmt.Sprintf("The selected %s is not allowed in this deployment: %s", option, value))
}

// routingFault is the other shape of faults, for what happens around a call and not in it.
type routingFault struct {
	status             int
	title, description string
	null               bool // the description is null
}

func (f *routingFault) Error() string { return f.title + ": " + f.description }

// titles name the resources of db errors as faults do.
var titles = map[string]string{
	"loadbalancer":            "Load Balancer",
	"listener":                "Listener",
	"pool":                    "Pool",
	"member":                  "Member",
	"healthmonitor":           "Health Monitor",
	"l7policy":                "L7 Policy",
	"l7rule":                  "L7 Rule",
	"amphora":                 "Amphora",
	"flavor":                  "Flavor",
	"flavorprofile":           "Flavor Profile",
	"availabilityzone":        "Availability Zone",
	"availabilityzoneprofile": "Availability Zone Profile",
	"quota":                   "Quotas",
}

// quotaTitles name the quotas of a 403.
var quotaTitles = map[db.QuotaResource]string{
	db.QuotaLoadBalancer:  "Load Balancer",
	db.QuotaListener:      "Listener",
	db.QuotaPool:          "Pool",
	db.QuotaMember:        "Member",
	db.QuotaHealthMonitor: "Health Monitor",
	db.QuotaL7Policy:      "L7 Policy",
	db.QuotaL7Rule:        "L7 Rule",
}

const forbiddenText = "Policy does not allow this request to be performed."

// errForbidden says that policy refuses.
var errForbidden = &Fault{Status: http.StatusForbidden, Text: forbiddenText}

// faultFor words any error of a call for the client. Causes of a 5xx are not shown.
func faultFor(err error) *Fault {
	var (
		fault     *Fault
		absent    *db.NotFoundError
		immutable *db.ImmutableError
		quota     *db.QuotaError
		duplicate *db.DuplicateError
		marker    *db.MarkerError
		unfit     *db.UnfitError
	)
	switch {
	case errors.As(err, &fault):
		return fault
	case errors.As(err, &absent):
		return notFound(titles[absent.Resource], absent.ID)
	case errors.As(err, &immutable):
		return conflict(fmt.Sprintf("%s %s is immutable and cannot be updated.", lockTitle(immutable.Resource), immutable.ID))
	case errors.As(err, &quota):
		return &Fault{Status: http.StatusForbidden, Text: "Quota has been met for resources: " + quotaTitles[quota.Resource]}
	case errors.As(err, &duplicate):
		return conflict("Already an entity with that specified id.")
	case errors.Is(err, db.ErrKeyReused): // not 409, which says that trying again may help
		return &Fault{Status: http.StatusUnprocessableEntity, Text: keyHeader + " was used before, with another body."}
	case errors.Is(err, db.ErrKeyRunning), errors.Is(err, db.ErrKeyLost):
		return conflict("A request with this " + keyHeader + " is under way.")
	case errors.As(err, &marker):
		return BadRequest(fmt.Sprintf("Supplied pagination marker '%s' is not valid.", marker.Marker))
	case errors.As(err, &unfit):
		// Databases taken over from Octavia may hold fewer characters than new ones, which only they know.
		return &Fault{Status: http.StatusBadRequest, Text: "Validation failure: A value has characters, a length or a size that cannot be stored.", Err: err}
	case errors.Is(err, ErrUnavailable), errors.Is(err, db.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		return &Fault{Status: http.StatusServiceUnavailable, Text: "A service this request needs is not available. Please try again.", Err: err}
	default:
		return &Fault{Status: http.StatusInternalServerError, Text: "The server could not complete the request.", Err: err}
	}
}

// lockTitle names a locked resource as 409 texts do, which differs from its title.
func lockTitle(resource string) string {
	if resource == "l7policy" {
		return "L7Policy"
	}
	return titles[resource]
}

type faultBody struct {
	Code   string  `json:"faultcode"`
	Text   string  `json:"faultstring"`
	Detail *string `json:"debuginfo"`
}

type routingBody struct {
	Code        int     `json:"code"`
	Title       string  `json:"title"`
	Description *string `json:"description"`
}

// fail is echo's error handler: the only place where errors become answers.
func (s *Server) fail(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	var (
		routing *routingFault
		ofEcho  *echo.HTTPError
		werr    error
	)
	switch {
	case errors.As(err, &routing):
		werr = writeRouting(c, routing)
	case errors.As(err, &ofEcho):
		werr = writeRouting(c, &routingFault{status: ofEcho.Code, title: http.StatusText(ofEcho.Code)})
	case errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil:
		return // nobody listens any more
	default:
		werr = s.writeFault(c, faultFor(err))
	}
	if werr != nil {
		s.deps.Log.DebugContext(c.Request().Context(), "answer not written", "error", werr)
	}
}

func writeRouting(c echo.Context, f *routingFault) error {
	body := routingBody{Code: f.status, Title: f.title}
	if !f.null {
		body.Description = &f.description
	}
	return c.JSON(f.status, body)
}

func (s *Server) writeFault(c echo.Context, f *Fault) error {
	body := faultBody{Code: "Client", Text: f.Text}
	if f.Status >= http.StatusInternalServerError {
		body.Code = "Server"
		s.deps.Log.ErrorContext(c.Request().Context(), "request failed",
			"method", c.Request().Method, "route", c.Path(), "status", f.Status, "error", errorText(f))
	}
	if f.Status == http.StatusConflict || f.Status == http.StatusServiceUnavailable {
		// Most pass: a lock, or what uses a name, goes away.
		c.Response().Header().Set("Retry-After", "1")
	}
	return c.JSON(f.Status, body)
}

func errorText(f *Fault) string {
	if f.Err != nil {
		return f.Err.Error()
	}
	return f.Text
}
