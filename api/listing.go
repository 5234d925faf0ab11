package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// inBatch is how many rows a list reads at a time. A list without a limit needs memory for
	// as many, however long it is.
	inBatch = 1000
	// batchTimeout is how long a client may take to read a batch: a transaction is open meanwhile.
	batchTimeout = time.Minute
)

// listing writes the answer of a list. What is one batch is written as a whole, after the
// transaction; of more, each is written when the next one has been read.
type listing struct {
	s              *Server
	c              echo.Context
	links          string // wrapper key of the links; "" is none
	body           bytes.Buffer
	rows           span
	begun, started bool // something is in the list; the status is out
}

// span is the ends of a list, which its links name.
type span struct {
	first, last string // ids
	rows        int
}

func (s *Server) newListing(c echo.Context, wrapper, links string) *listing {
	l := &listing{s: s, c: c, links: links}
	l.body.WriteString(`{"` + wrapper + `":[`)
	return l
}

// appendTo adds objects to a list. Ids are theirs.
func appendTo[Out any](l *listing, out []Out, ids []string) error {
	if l.begun {
		if err := l.flush(); err != nil {
			return err
		}
	}
	l.rows.extend(ids)
	fields := callOf(l.c).page.fields
	encoder := json.NewEncoder(&l.body)
	for i := range out {
		if l.begun {
			l.body.WriteByte(',')
		}
		l.begun = true
		if fields != nil {
			shown, err := selectFields(&out[i], fields)
			if err != nil {
				return err
			}
			l.body.Write(shown)
			continue
		}
		if err := encoder.Encode(&out[i]); err != nil {
			return err
		}
		l.body.Truncate(l.body.Len() - 1) // the encoder ends lines
	}
	return nil
}

func (r *span) extend(ids []string) {
	if len(ids) == 0 {
		return
	}
	if r.rows == 0 {
		r.first = ids[0]
	}
	r.last = ids[len(ids)-1]
	r.rows += len(ids)
}

// flush sends what is there of a list that is not complete.
func (l *listing) flush() error {
	w := l.c.Response()
	deadline := time.Now().Add(batchTimeout)
	if err := http.NewResponseController(w).SetWriteDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if !l.started {
		w.Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
		w.WriteHeader(http.StatusOK)
		l.started = true
	}
	_, err := l.body.WriteTo(w)
	return err
}

// end completes the list, unless it failed. When the client has a part of it already, the
// connection is broken, so that the part is not taken for the whole.
func (l *listing) end(err error) error {
	if err == nil {
		err = l.finish()
	}
	if err == nil && !l.started {
		return l.c.JSONBlob(http.StatusOK, l.body.Bytes())
	}
	if err == nil {
		err = l.flush()
	}
	if err != nil && l.started {
		l.s.deps.Log.WarnContext(l.c.Request().Context(), "list broken off", "rows", l.rows.rows, "error", err)
		panic(http.ErrAbortHandler)
	}
	return err
}

// finish writes what comes behind the objects.
func (l *listing) finish() error {
	l.body.WriteByte(']')
	if l.links != "" {
		p := callOf(l.c).page
		links, err := json.Marshal(orNull(!l.s.cfg.DisablePagination, p.links(l.s.requestURL(l.c), l.c.QueryParams(), l.rows)))
		if err != nil {
			return err
		}
		l.body.WriteString(`,"` + l.links + `":`)
		l.body.Write(links)
	}
	l.body.WriteString("}\n")
	return nil
}
