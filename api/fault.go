package api

import "net/http"

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
