package agent

import (
	"crypto/md5" //nolint:gosec // the API's ETag; nothing depends on its strength
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"runtime/debug"
)

// reply is an answer: a JSON body, or plain text.
type reply struct {
	status int
	body   any    // JSON; nil with text
	text   []byte // text/plain
	etag   string // "" = none
}

func ok(status int) reply { return reply{status: status, body: map[string]string{"message": "OK"}} }

func said(status int, message, details string) reply {
	body := map[string]string{}
	if message != "" {
		body["message"] = message
	}
	if details != "" {
		body["details"] = details
	}
	return reply{status: status, body: body}
}

// refused is the shape in which upstream's framework says no.
func refused(status int, description string) reply {
	return reply{status: status, body: map[string]any{
		"error": fmt.Sprintf("%d %s: %s", status, http.StatusText(status), description), "http_code": status,
	}}
}

// maxBody bounds what a controller may upload.
const maxBody = 16 << 20

type handler func(r *http.Request, body []byte) reply

func (a *Agent) routes() http.Handler {
	mux := http.NewServeMux()
	reads := map[string]handler{
		"GET /{$}":                           a.version,
		"GET /1.0/info":                      a.info,
		"GET /1.0/details":                   a.details,
		"GET /1.0/listeners":                 a.listListeners,
		"GET /1.0/loadbalancer/{lb}/haproxy": a.getConfig,
		"GET /1.0/loadbalancer/{lb}/certificates/{file}": a.getCertificate,
		"GET /1.0/loadbalancer/{lb}/certificates":        a.listCertificates,
		"GET /1.0/listeners/{listener}/udp_listener":     a.getUDPListener,
		"GET /1.0/interface/{ip}":                        a.findInterface,
	}
	changes := map[string]handler{
		"PUT /1.0/loadbalancer/{first}/{second}/{third}":       a.putFile,
		"PUT /1.0/loadbalancer/{lb}/{action}":                  a.act,
		"DELETE /1.0/listeners/{lb}":                           a.remove,
		"PUT /1.0/listeners/{amphora}/{listener}/udp_listener": a.putUDPListener,
		"DELETE /1.0/loadbalancer/{lb}/certificates/{file}":    a.deleteCertificate,
		"POST /1.0/plug/vip/{vip}":                             a.plugVIP,
		"POST /1.0/plug/network":                               a.plugNetwork,
		"PUT /1.0/certificate":                                 a.putServerCertificate,
		"PUT /1.0/config":                                      a.putAgentConfig,
		"PUT /1.0/interface/{ip}/rules":                        a.putRules,
		"PUT /1.0/vrrp/upload":                                 a.putVRRP,
		"PUT /1.0/vrrp/{action}":                               a.actVRRP,
	}
	for pattern, h := range reads {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { a.answer(w, r, h) })
	}
	for pattern, h := range changes {
		// One at a time, from when all of a request is there: one whose body never ends must not stop the others.
		serial := func(r *http.Request, body []byte) reply {
			a.change.Lock()
			defer a.change.Unlock()
			if err := a.restoreNamespace(r.Context()); err != nil { // who needs it would make another
				return refused(http.StatusInternalServerError, err.Error())
			}
			return h(r, body)
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { a.answer(w, r, serial) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "//" { // what upstream's driver may ask for
			r.URL.Path = "/"
		}
		_, pattern := mux.Handler(r)
		// The multiplexer would send who asks for /x/../y to /y; upstream's does not know such paths.
		if escaped := r.URL.EscapedPath(); pattern != "" && path.Clean(escaped) == escaped {
			mux.ServeHTTP(w, r)
			return
		}
		a.answer(w, r, unknown(mux))
	})
}

// unknown answers what no route matches: 405 when another method would.
func unknown(mux *http.ServeMux) handler {
	return func(r *http.Request, _ []byte) reply {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "" && method != r.Method {
				return refused(http.StatusMethodNotAllowed, "The method is not allowed for the requested URL.")
			}
		}
		return refused(http.StatusNotFound, "The requested URL was not found on the server.")
	}
}

func (a *Agent) answer(w http.ResponseWriter, r *http.Request, h handler) {
	rep := a.replyTo(w, r, h)
	a.log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "status", rep.status)
	if rep.etag != "" {
		w.Header().Set("ETag", rep.etag)
	}
	if rep.body == nil {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(rep.status)
		_, _ = w.Write(rep.text)
		return
	}
	encoded, err := json.Marshal(rep.body)
	if err != nil {
		rep.status, encoded = http.StatusInternalServerError, []byte(`{"message":"Internal error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(rep.status)
	_, _ = w.Write(encoded)
}

// replyTo answers with statuses that controllers know: they take all others, 413 among them, for success.
func (a *Agent) replyTo(w http.ResponseWriter, r *http.Request, h handler) (rep reply) {
	defer func() {
		if cause := recover(); cause != nil {
			a.log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", cause, "stack", string(debug.Stack()))
			rep = refused(http.StatusInternalServerError, "The server encountered an internal error and was unable to complete your request.")
		}
	}()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refused(http.StatusBadRequest, "The data value transmitted exceeds the capacity limit.")
	case err != nil:
		return refused(http.StatusBadRequest, "The body cannot be read.")
	}
	return h(r, body)
}

func md5hex(b []byte) string {
	sum := md5.Sum(b) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

func (a *Agent) version(*http.Request, []byte) reply {
	return reply{status: http.StatusOK, body: map[string]any{"api_version": apiVersion, "capabilities": capabilities}}
}

// putFile takes haproxy.cfg (<amphora>/<load balancer>/haproxy) and certificates (<load balancer>/certificates/<file>), whose
// paths Go's patterns cannot tell apart.
func (a *Agent) putFile(r *http.Request, body []byte) reply {
	switch {
	case r.PathValue("second") == "certificates":
		r.SetPathValue("lb", r.PathValue("first"))
		r.SetPathValue("file", r.PathValue("third"))
		return a.putCertificate(r, body)
	case r.PathValue("third") == "haproxy":
		r.SetPathValue("amphora", r.PathValue("first"))
		r.SetPathValue("lb", r.PathValue("second"))
		return a.putConfig(r, body)
	}
	return refused(http.StatusNotFound, "The requested URL was not found on the server.")
}
