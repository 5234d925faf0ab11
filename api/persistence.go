package api

import (
	"context"
	"strings"
	"unicode"

	"github.com/ottavino/ottavino/db"
)

const (
	bySourceIP   = "SOURCE_IP"
	byHTTPCookie = "HTTP_COOKIE"
	byAppCookie  = "APP_COOKIE"
)

// Who may have timeout and granularity is worded differently in POST and PUT.
const (
	postTimeouts = "persistence_timeout and persistence_granularity is only for UDP and SCTP protocol pools."
	putTimeouts  = "persistence_timeout and persistence_granularity is only for UDP protocol pools."
)

var cookiePattern = pattern{
	source: `^[^\s,;\\]+$`,
	match: func(s string) bool {
		return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`,;\`, r) })
	},
}

type persistenceIn struct {
	kind, cookie, granularity field[string]
	timeout                   field[int]
}

func decodePersistence(o *object) persistenceIn {
	o.need("type")
	in := decodePersistenceChange(o)
	o.notNull("type")
	return in
}

func decodePersistenceChange(o *object) persistenceIn {
	return persistenceIn{
		kind:        o.enum("type", bySourceIP, byHTTPCookie, byAppCookie),
		cookie:      o.textLike("cookie_name", 0, 255, cookiePattern),
		timeout:     o.integer("persistence_timeout", -unbounded, unbounded),
		granularity: o.address("persistence_granularity"),
	}
}

type persistenceOut struct {
	Type        string  `json:"type"`
	CookieName  *string `json:"cookie_name"`
	Timeout     *int    `json:"persistence_timeout"`
	Granularity *string `json:"persistence_granularity"`
}

func viewPersistence(p *db.SessionPersistence) *persistenceOut {
	return &persistenceOut{p.Type, p.CookieName, p.PersistenceTimeout, p.PersistenceGranularity}
}

func (p persistenceIn) row() *db.SessionPersistence {
	return &db.SessionPersistence{
		Type: p.kind.value, CookieName: p.cookie.ptr(),
		PersistenceTimeout: p.timeout.ptr(), PersistenceGranularity: p.granularity.ptr(),
	}
}

// checkPersistence tests session persistence for a pool's protocol. timeouts is the text for
// options that only datagram pools have.
func checkPersistence(protocol string, p persistenceIn, timeouts string) error {
	kind, cookie := p.kind.value, p.cookie.or("")
	if kind == "" {
		return notAnOption("None", "type")
	}
	if datagram(protocol) {
		return checkDatagramPersistence(kind, cookie)
	}
	switch {
	case p.timeout.value != 0 || p.granularity.value != "":
		return Invalid(timeouts)
	case cookie != "" && kind != byAppCookie:
		return Invalid(`Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".`)
	case cookie != "" && strings.ContainsFunc(cookie, notInCookie):
		return Invalid(`Supplied "cookie_name" is invalid.`)
	case cookie == "" && kind == byAppCookie:
		return Invalid(`Field "cookie_name" must be specified when using the "APP_COOKIE" session persistence type.`)
	}
	return nil
}

func checkDatagramPersistence(kind, cookie string) error {
	switch {
	case cookie != "" && kind == bySourceIP:
		return Invalid("session_persistence SOURCE_IP type for UDP and SCTP protocols only accepts: type, persistence_timeout, persistence_granularity.")
	case cookie != "":
		return Invalid("Cookie names are not supported for UDP/SCTP pools.")
	case kind != bySourceIP:
		return Invalid("Session persistence of type " + kind + " is not supported for UDP/SCTP protocol pools.")
	}
	return nil
}

// notInCookie are the characters that RFC 6265 keeps out of a cookie's name.
func notInCookie(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// updatePersistence stores the session persistence of a PUT. What the body leaves out of the
// object becomes null, except the type. An empty object changes nothing.
func updatePersistence(ctx context.Context, c *change, p *db.Pool, f field[persistenceIn]) error {
	if !f.set {
		return nil
	}
	if f.null {
		return c.tx.SetPersistence(ctx, p.ID, nil)
	}
	stored, err := c.tx.Persistences(ctx, []string{p.ID})
	if err != nil {
		return err
	}
	in := f.value
	if old, has := stored[p.ID]; !in.kind.given() {
		if !has {
			return Invalid("Invalid session_persistence provided.")
		}
		if in == (persistenceIn{}) {
			return nil
		}
		in.kind = field[string]{set: true, value: old.Type}
	}
	if err := checkPersistence(p.Protocol, in, putTimeouts); err != nil {
		return err
	}
	return c.tx.SetPersistence(ctx, p.ID, in.row())
}
