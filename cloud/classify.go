package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

const (
	maxMessage    = 500 // bytes of a service's words that are kept
	maxRetryAfter = time.Hour
)

// Classify wraps a gophercloud error; nil stays nil, and an *Error stays as it is. It knows
// gophercloud's value and pointer forms, Neutron's OverQuota inside 409, and Nova's quota
// inside 403.
func Classify(service, op string, err error) error {
	if err == nil {
		return nil
	}
	var done *Error
	if errors.As(err, &done) {
		return done // also a failed login, which http.Client wraps with the URL asked for
	}
	if answer, ok := unexpected(err); ok {
		return classifyAnswer(service, op, answer, err)
	}
	e := &Error{Class: Final, Service: service, Op: op, Err: withoutURL(err)}
	if transient(err) {
		e.Class = Unavailable
	}
	return e
}

// unexpected digs out the answer that gophercloud did not expect. Its wrappers for failed
// reauthentication do not all unwrap.
func unexpected(err error) (*gophercloud.ErrUnexpectedResponseCode, bool) {
	var (
		value   gophercloud.ErrUnexpectedResponseCode
		pointer *gophercloud.ErrUnexpectedResponseCode
		login   *gophercloud.ErrUnableToReauthenticate
		after   *gophercloud.ErrErrorAfterReauthentication
	)
	switch {
	case errors.As(err, &value):
		return &value, true
	case errors.As(err, &pointer):
		return pointer, true
	case errors.As(err, &login) && login.ErrReauth != nil:
		return unexpected(login.ErrReauth)
	case errors.As(err, &after) && after.ErrOriginal != nil:
		return unexpected(after.ErrOriginal)
	}
	return nil, false
}

func classifyAnswer(service, op string, answer *gophercloud.ErrUnexpectedResponseCode, err error) *Error {
	kind, message, understood := words(answer.Body)
	e := &Error{
		Service: service, Op: op, Status: answer.Actual, Type: bounded(kind), Message: bounded(message), Err: err,
		RetryAfter: retryAfter(answer.ResponseHeader.Get("Retry-After")),
	}
	garbage := !understood && len(answer.Body) > 0
	switch status := answer.Actual; {
	case exhausted(status, kind, message):
		e.Class = Quota
	case status == http.StatusUnauthorized:
		e.Class = Unauthorized
	case status == http.StatusNotFound && garbage:
		e.Class = Unavailable // a proxy's page: nobody said that the object is gone
	case status == http.StatusNotFound, status == http.StatusGone:
		e.Class = Gone
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		e.Class = Conflict
	case status == http.StatusTooManyRequests,
		status == http.StatusRequestEntityTooLarge && e.RetryAfter > 0:
		e.Class = RateLimited
	case status == http.StatusRequestTimeout, status >= http.StatusInternalServerError:
		e.Class = Unavailable
	case status < http.StatusMultipleChoices:
		e.Class = Unavailable // a success that does not belong to this call
	default:
		e.Class = Final
	}
	if e.Message == "" {
		e.Message = http.StatusText(e.Status)
	}
	return e
}

// exhausted knows the many ways to say that there is no more.
func exhausted(status int, kind, message string) bool {
	if kind == "OverQuota" || kind == "IpAddressGenerationFailure" {
		return true
	}
	lower := strings.ToLower(message)
	says := func(what string) bool { return strings.Contains(lower, what) }
	switch status {
	case http.StatusForbidden, http.StatusRequestEntityTooLarge:
		return says("quota") || says("maximum number of ports exceeded")
	case http.StatusBadRequest:
		return says("failed to claim pci device")
	case http.StatusConflict:
		return says("no valid host") || says("quota exceeded")
	case http.StatusInternalServerError:
		return says("no valid host") || says("portbindingfailed") || says("binding failed for port")
	}
	return false
}

// words finds the type and the text in a service's fault: {"badRequest": {"message": …}},
// {"NeutronError": {"type": …, "message": …}}, {"NeutronError": "…"}, {"message": …}.
// understood is false for what is no JSON object.
func words(body []byte) (kind, message string, understood bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return "", "", false
	}
	var direct string
	if json.Unmarshal(fields["message"], &direct) == nil && direct != "" {
		return "", direct, true
	}
	for _, raw := range fields {
		var fault struct{ Type, Message string }
		if json.Unmarshal(raw, &fault) == nil && fault.Message != "" {
			return fault.Type, fault.Message, true
		}
	}
	if json.Unmarshal(fields["NeutronError"], &direct) == nil {
		return "", direct, true
	}
	return "", "", true
}

func bounded(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxMessage {
		return strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return s
}

// retryAfter reads the header's two forms; what it cannot read is 0.
func retryAfter(header string) time.Duration {
	if n, err := strconv.Atoi(header); err == nil && n > 0 {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, min(time.Until(at), maxRetryAfter))
	}
	return 0
}

// transient says whether err is the network's or the service's, not ours.
func transient(err error) bool {
	var (
		ofNet   net.Error
		ofOp    *net.OpError
		ofURL   *url.Error
		syntax  *json.SyntaxError
		typed   *json.UnmarshalTypeError
		missing gophercloud.ErrMissingResourceKey
		parse   *time.ParseError
	)
	return errors.As(err, &ofNet) || errors.As(err, &ofOp) || errors.As(err, &ofURL) ||
		errors.As(err, &syntax) || errors.As(err, &typed) || errors.As(err, &missing) || errors.As(err, &parse) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// withoutURL drops the URL that http.Client puts into errors: it may hold names of users.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
