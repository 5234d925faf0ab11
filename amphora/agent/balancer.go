package agent

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// safeName is what an id or a file name of a controller may be; upstream takes anything without a slash.
var safeName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// taken are the names of directories beside those of load balancers: removing a load balancer must not remove them.
var taken = []string{"certs", "lvs", "vrrp"}

func badName(names ...string) (reply, bool) {
	for _, n := range names {
		if !safeName.MatchString(n) || slices.Contains(taken, n) {
			return said(http.StatusBadRequest, "Invalid request", "not an id: "+n), true
		}
	}
	return reply{}, false
}

func (a *Agent) getConfig(r *http.Request, _ []byte) reply {
	id := r.PathValue("lb")
	if bad, is := badName(id); is {
		return bad
	}
	text, err := os.ReadFile(a.haproxy.configFile(id))
	if err != nil {
		return notFound(id)
	}
	text = asSent(text)
	return reply{status: http.StatusOK, text: text, etag: md5hex(text)}
}

func notFound(id string) reply {
	return said(http.StatusNotFound, "Loadbalancer Not Found", "No loadbalancer with UUID: "+id)
}

// groupLine is a directive that the second file brings; controllers of old send it here too.
var groupLine = regexp.MustCompile(`(?m)^\s+group\s.*\n?`)

func (a *Agent) putConfig(r *http.Request, body []byte) reply {
	id := r.PathValue("lb")
	if bad, is := badName(id, r.PathValue("amphora")); is {
		return bad
	}
	if len(bytes.TrimSpace(body)) == 0 { // haproxy would find the agent's own part valid
		return said(http.StatusBadRequest, "Invalid request", "the configuration is empty")
	}
	output, err := a.haproxy.install(r.Context(), id, groupLine.ReplaceAll(body, nil))
	var invalid *invalidConfig
	switch {
	case errors.As(err, &invalid):
		return said(http.StatusBadRequest, "Invalid request", invalid.output)
	case err != nil:
		return said(http.StatusInternalServerError, "Error storing haproxy configuration", err.Error()+output)
	}
	rep := ok(http.StatusAccepted)
	rep.etag = md5hex(body)
	return rep
}

func (a *Agent) act(r *http.Request, _ []byte) reply {
	id, action := r.PathValue("lb"), strings.ToLower(r.PathValue("action"))
	if !slices.Contains([]string{"start", "stop", "reload"}, action) {
		return said(http.StatusBadRequest, "Invalid Request", "Unknown action: "+action)
	}
	if bad, is := badName(id); is {
		return bad
	}
	if !a.haproxy.has(id) {
		if a.lvs.has(id) {
			return a.actUDPListener(r.Context(), id, action)
		}
		return notFound(id)
	}
	a.updateChecksFor(r.Context(), id, action)
	var err error
	details := "Listener " + id + " " + action + "ed"
	switch {
	case action == "stop":
		err = a.haproxy.stop(r.Context(), id)
	case !a.haproxy.running(id):
		err = a.haproxy.start(r.Context(), id)
		details = "Configuration file is valid\nhaproxy daemon for " + id + " started"
	case action == "reload":
		err = a.haproxy.reload(r.Context(), id)
	}
	if err != nil {
		return said(http.StatusInternalServerError, "Error "+action+"ing haproxy", err.Error())
	}
	a.exporter.tend(r.Context())
	if action != "stop" && a.config().Topology != activeStandby {
		a.advertise(r.Context(), a.haproxy.binds(id))
	}
	return said(http.StatusAccepted, "OK", details)
}

func (a *Agent) remove(r *http.Request, _ []byte) reply {
	id := r.PathValue("lb")
	if bad, is := badName(id); is {
		return bad
	}
	if a.haproxy.has(id) {
		a.releaseChecks(r.Context(), id)
		if err := a.haproxy.remove(r.Context(), id); err != nil {
			return said(http.StatusInternalServerError, "Error stopping haproxy", err.Error())
		}
	} else if a.lvs.has(id) {
		return a.removeUDPListener(r.Context(), id)
	}
	_ = removeAll(filepath.Join(a.config().CertDir, id))
	return ok(http.StatusOK)
}

// listeners are the frontends in a configuration.
type listener struct {
	Status string `json:"status"`
	UUID   string `json:"uuid"`
	Type   string `json:"type"`
}

func (a *Agent) listListeners(*http.Request, []byte) reply {
	out := []listener{}
	ids, err := a.haproxy.ids()
	if err != nil {
		return refused(http.StatusInternalServerError, err.Error())
	}
	for _, id := range ids {
		out = append(out, a.haproxy.listeners(id)...)
	}
	out = append(out, a.lvs.listeners()...)
	return reply{status: http.StatusOK, body: out}
}

// certificateName is upstream's test: pairs of a word character and any other, and then pem, anywhere.
var certificateName = regexp.MustCompile(`(\w.)+pem`)

func (a *Agent) certificate(r *http.Request) (path string, bad *reply) {
	id, file := r.PathValue("lb"), r.PathValue("file")
	if rep, is := badName(id, file); is {
		return "", &rep
	}
	if !certificateName.MatchString(file) {
		rep := said(http.StatusBadRequest, "Filename has wrong format", "")
		return "", &rep
	}
	return filepath.Join(a.config().CertDir, id, file), nil
}

func (a *Agent) putCertificate(r *http.Request, body []byte) reply {
	path, bad := a.certificate(r)
	if bad != nil {
		return *bad
	}
	if err := ensureCertDir(a.config().CertDir); err != nil {
		return refused(http.StatusInternalServerError, err.Error())
	}
	if err := errors.Join(makeDir(filepath.Dir(path), 0o700), replaceFile(path, body, 0o600)); err != nil {
		return refused(http.StatusInternalServerError, err.Error())
	}
	rep := ok(http.StatusOK)
	rep.etag = md5hex(body)
	return rep
}

func (a *Agent) getCertificate(r *http.Request, _ []byte) reply {
	path, bad := a.certificate(r)
	if bad != nil {
		return *bad
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return said(http.StatusNotFound, "Certificate Not Found", "No certificate with filename: "+r.PathValue("file"))
	}
	return reply{status: http.StatusOK, body: map[string]string{"md5sum": md5hex(text)}, etag: md5hex(text)}
}

func (a *Agent) deleteCertificate(r *http.Request, _ []byte) reply {
	path, bad := a.certificate(r)
	if bad != nil {
		return *bad
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return refused(http.StatusInternalServerError, err.Error())
	}
	return ok(http.StatusOK)
}

// putServerCertificate takes the agent's own certificate and key. Unlike upstream's agent it refuses what it cannot show: nobody
// would get an answer any more who could mend that.
func (a *Agent) putServerCertificate(_ *http.Request, body []byte) reply {
	if _, err := tls.X509KeyPair(body, body); err != nil {
		return said(http.StatusBadRequest, "Invalid request", "no certificate with its key: "+err.Error())
	}
	if err := replaceFile(a.config().ServerCert, body, 0o600); err != nil {
		return refused(http.StatusInternalServerError, err.Error())
	}
	return ok(http.StatusAccepted)
}

// putAgentConfig takes a new amphora-agent.conf. What upstream calls mutable has effect at once, the rest when the agent starts the
// next time. Unlike upstream's agent it keeps the old file when the new one is unreadable.
func (a *Agent) putAgentConfig(_ *http.Request, body []byte) reply {
	conf, err := parseConfig(body)
	if err == nil {
		err = replaceFile(a.confPath, body, 0o600)
	}
	if err != nil {
		return said(http.StatusInternalServerError, "Unable to update amphora-agent configuration.", err.Error())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conf.Controllers, a.conf.HeartbeatInterval, a.conf.HeartbeatKey = conf.Controllers, conf.HeartbeatInterval, conf.HeartbeatKey
	a.conf.Topology = conf.Topology
	return ok(http.StatusAccepted)
}
