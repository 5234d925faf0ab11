package cloud

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Class is what a caller may do about a failed call.
type Class int

// Classes.
const (
	Final        Class = iota // asking again cannot help: bad request, forbidden
	Gone                      // 404
	Conflict                  // 409 that is not quota
	Quota                     // over quota or no capacity, whatever code the service says it with
	RateLimited               // 429, 413 with Retry-After
	Unauthorized              // 401 after a fresh login
	Unavailable               // 5xx, connection errors, timeouts, garbage where JSON was due
)

// String names the class for logs.
func (c Class) String() string {
	names := [...]string{"final", "gone", "conflict", "quota", "rate limited", "unauthorized", "unavailable"}
	if c < 0 || int(c) >= len(names) {
		return "class " + strconv.Itoa(int(c))
	}
	return names[c]
}

// Error is a classified failure of one call.
type Error struct {
	Class      Class
	Service    string        // compute, network, image, identity
	Op         string        // our verb, e.g. "create server"
	Status     int           // HTTP status; 0 = no answer
	Type       string        // the service's name of the fault, e.g. IpAddressInUse; "" = not said
	Message    string        // the service's own words, bounded, without secrets
	RetryAfter time.Duration // 0 = not said
	Err        error
}

// Error says what was attempted, the status and the service's words. It does not print Err
// when the service said something: gophercloud's texts hold whole answers.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s", e.Service, e.Op, e.Class)
	if e.Status != 0 {
		fmt.Fprintf(&b, " (HTTP %d)", e.Status)
	}
	switch {
	case e.Message != "":
		b.WriteString(": " + e.Message)
	case e.Status == 0 && e.Err != nil:
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// IsGone says whether err is an *Error of class Gone.
func IsGone(err error) bool { return is(err, Gone) }

// IsConflict says whether err is an *Error of class Conflict.
func IsConflict(err error) bool { return is(err, Conflict) }

// IsQuota says whether err is an *Error of class Quota.
func IsQuota(err error) bool { return is(err, Quota) }

// Retryable says whether asking again may help: everything but Final and Gone. What is no
// *Error is not retryable.
func Retryable(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Class != Final && e.Class != Gone
}

func is(err error, c Class) bool {
	var e *Error
	return errors.As(err, &e) && e.Class == c
}
