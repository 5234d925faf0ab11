package rest

import (
	"fmt"
	"net/http"
)

// Error is a refusal.
type Error struct {
	Status  int
	Type    string // Neutron's exception name; "" elsewhere
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Status, e.Message) }

// BadRequest is a 400.
func BadRequest(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Type: "HTTPBadRequest", Message: fmt.Sprintf(format, args...)}
}

// Forbidden is a 403.
func Forbidden(format string, args ...any) *Error {
	return &Error{Status: http.StatusForbidden, Type: "PolicyNotAuthorized", Message: fmt.Sprintf(format, args...)}
}

// NotFound is a 404.
func NotFound(format string, args ...any) *Error {
	return &Error{Status: http.StatusNotFound, Type: "HTTPNotFound", Message: fmt.Sprintf(format, args...)}
}

// Conflict is a 409 of Neutron's exception type ("" elsewhere).
func Conflict(kind, format string, args ...any) *Error {
	return &Error{Status: http.StatusConflict, Type: kind, Message: fmt.Sprintf(format, args...)}
}
