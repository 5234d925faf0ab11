package amphora

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5" //nolint:gosec // the agent API's ETag; nothing depends on its strength
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Driver speaks agent API 1.0. It is safe for concurrent use and keeps connections.
// Errors are *AgentError.
type Driver struct {
	cfg DriverConfig

	mu      sync.Mutex
	clients map[Target]*client
}

// client is the connections to one amphora: each has a name of its own to check certificates with.
type client struct {
	http *http.Client
	used time.Time
}

const (
	defaultPort    = 9443
	connectTimeout = 10 * time.Second
	readTimeout    = 60 * time.Second
	apiVersion     = "1.0"
	// idleTimeout is after how long a client that is not used is forgotten.
	idleTimeout = 2 * time.Minute
	maxAnswer   = 8 << 20 // bytes
	maxMessage  = 2000    // bytes of an agent's words that are kept
)

// NewDriver makes a driver; it makes no call.
func NewDriver(cfg DriverConfig) *Driver {
	cfg.Port = cmp.Or(cfg.Port, defaultPort)
	cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, connectTimeout)
	cfg.ReadTimeout = cmp.Or(cfg.ReadTimeout, readTimeout)
	cfg.MinTLS = cmp.Or(cfg.MinTLS, tls.VersionTLS12)
	return &Driver{cfg: cfg, clients: map[Target]*client{}}
}

// Info asks who the agent is (GET / and GET /info).
func (d *Driver) Info(ctx context.Context, t Target) (Info, error) {
	var version struct {
		APIVersion   string   `json:"api_version"`
		Capabilities []string `json:"capabilities"`
	}
	if err := d.get(ctx, t, call{op: "discover version", path: "/", out: &version}); err != nil {
		return Info{}, err
	}
	if version.APIVersion != apiVersion {
		return Info{}, &AgentError{
			Op: "discover version", Status: http.StatusOK, Message: "the agent speaks version " + version.APIVersion + ", we speak " + apiVersion,
			Err: errors.New("unknown API version"),
		}
	}
	var info struct {
		Hostname          string `json:"hostname"`
		HAProxyVersion    string `json:"haproxy_version"`
		KeepalivedVersion string `json:"keepalived_version"`
		IPVSAdmVersion    string `json:"ipvsadm_version"`
	}
	if err := d.get(ctx, t, call{op: "get info", path: "/1.0/info", out: &info}); err != nil {
		return Info{}, err
	}
	return Info{
		APIVersion: version.APIVersion, Capabilities: version.Capabilities, Hostname: info.Hostname,
		HAProxyVersion: info.HAProxyVersion, KeepalivedVersion: info.KeepalivedVersion, IPVSAdmVersion: info.IPVSAdmVersion,
	}, nil
}

// Details asks for load and sizes.
func (d *Driver) Details(ctx context.Context, t Target) (Details, error) {
	var out struct {
		CPUCount      int      `json:"cpu_count"`
		TunedProfiles string   `json:"active_tuned_profiles"`
		HAProxyCount  int      `json:"haproxy_count"`
		Listeners     []string `json:"listeners"`
		Memory        struct {
			Total   int64 `json:"total"`
			Free    int64 `json:"free"`
			Buffers int64 `json:"buffers"`
			Cached  int64 `json:"cached"`
		} `json:"memory"`
	}
	if err := d.get(ctx, t, call{op: "get details", path: "/1.0/details", out: &out}); err != nil {
		return Details{}, err
	}
	return Details{
		CPUCount: out.CPUCount, TunedProfiles: out.TunedProfiles, HAProxyCount: out.HAProxyCount, Listeners: out.Listeners,
		MemoryKiB: out.Memory.Total, MemoryFreeKiB: out.Memory.Free, MemoryBuffersKiB: out.Memory.Buffers, MemoryCachedKiB: out.Memory.Cached,
	}, nil
}

// PlugVIP plugs the base port; 409 (already plugged) is success.
func (d *Driver) PlugVIP(ctx context.Context, t Target, vip netip.Addr, p VIPPlug) error {
	return except(http.StatusConflict, d.sendJSON(ctx, t, "plug VIP", "/1.0/plug/vip/"+url.PathEscape(vip.String()), p))
}

// PlugNetwork plugs or refreshes a member port; 409 is success.
func (d *Driver) PlugNetwork(ctx context.Context, t Target, p NetworkPlug) error {
	return except(http.StatusConflict, d.sendJSON(ctx, t, "plug network", "/1.0/plug/network", p))
}

func configPath(lbID string) string {
	return "/1.0/loadbalancer/" + url.PathEscape(lbID) + "/haproxy"
}

// Config returns the haproxy.cfg the agent holds; ok is false when it has none.
func (d *Driver) Config(ctx context.Context, t Target, lbID string) (cfg []byte, ok bool, err error) {
	answer, err := d.do(ctx, t, call{op: "get haproxy.cfg", method: http.MethodGet, path: configPath(lbID)})
	if missing(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return answer.body, true, nil
}

// Apply makes the agent run cfg: uploads it when the agent's differs, and reloads (or starts)
// haproxy. A refused configuration is an *AgentError with status 400 and haproxy's words.
//
// The reload is asked for even when nothing was uploaded: whoever uploaded it may have died before asking, and
// an agent whose haproxy runs what it holds has nothing to do.
func (d *Driver) Apply(ctx context.Context, t Target, lbID string, cfg []byte) error {
	held, err := d.heldDigest(ctx, t, lbID)
	if err != nil {
		return err
	}
	if held != digest(cfg) {
		if err := d.Upload(ctx, t, lbID, cfg); err != nil {
			return err
		}
	}
	_, err = d.do(ctx, t, call{op: "reload haproxy", method: http.MethodPut, path: "/1.0/loadbalancer/" + url.PathEscape(lbID) + "/reload"})
	return err
}

// heldDigest is "" when the agent has no configuration.
func (d *Driver) heldDigest(ctx context.Context, t Target, lbID string) (string, error) {
	held, ok, err := d.Config(ctx, t, lbID)
	if err != nil || !ok {
		return "", err
	}
	return digest(held), nil
}

func digest(b []byte) string {
	sum := md5.Sum(b) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// Remove deletes the load balancer's haproxy instance; absent is success.
func (d *Driver) Remove(ctx context.Context, t Target, lbID string) error {
	_, err := d.do(ctx, t, call{op: "remove haproxy", method: http.MethodDelete, path: "/1.0/listeners/" + url.PathEscape(lbID)})
	if missing(err) {
		return nil
	}
	return err
}

// UploadCertificate replaces the agent's own server certificate and key (PUT /certificate).
func (d *Driver) UploadCertificate(ctx context.Context, t Target, pem []byte) error {
	_, err := d.do(ctx, t, call{op: "upload certificate", method: http.MethodPut, path: "/1.0/certificate", body: pem})
	return err
}

// UploadConfig replaces amphora-agent.conf (PUT /config).
func (d *Driver) UploadConfig(ctx context.Context, t Target, conf []byte) error {
	_, err := d.do(ctx, t, call{op: "upload configuration", method: http.MethodPut, path: "/1.0/config", body: conf})
	return err
}

// call is one request to an agent.
type call struct {
	op, method, path string
	body             []byte
	json             bool // the body is JSON
	out              any  // where the answer's JSON goes; nil = not read
}

type answer struct {
	status int
	kind   string // content type without parameters
	body   []byte
}

func (d *Driver) get(ctx context.Context, t Target, c call) error {
	c.method = http.MethodGet
	_, err := d.do(ctx, t, c)
	return err
}

func (d *Driver) sendJSON(ctx context.Context, t Target, op, path string, in any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return &AgentError{Op: op, Err: err}
	}
	_, err = d.do(ctx, t, call{op: op, method: http.MethodPost, path: path, body: body, json: true})
	return err
}

func (d *Driver) do(ctx context.Context, t Target, c call) (answer, error) {
	a, err := d.send(ctx, t, c)
	if err != nil {
		return a, &AgentError{Op: c.op, NotReady: true, Err: err}
	}
	if a.status >= http.StatusMultipleChoices {
		return a, a.refusal(c.op)
	}
	if c.out != nil {
		if err := json.Unmarshal(a.body, c.out); err != nil {
			return a, &AgentError{Op: c.op, Status: a.status, NotReady: true, Message: "the answer is not JSON", Err: err}
		}
	}
	return a, nil
}

func (d *Driver) send(ctx context.Context, t Target, c call) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.ConnectTimeout+d.cfg.ReadTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.method, d.base(t)+c.path, bytes.NewReader(c.body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("User-Agent", "Octavia HaProxy Rest Client/"+apiVersion+" (https://wiki.openstack.org/wiki/Octavia)")
	if c.json {
		req.Header.Set("Content-Type", "application/json")
	}
	httpClient, err := d.client(t)
	if err != nil {
		return answer{}, err
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, err
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return answer{resp.StatusCode, kind, body}, nil
}

// base is the URL of an agent; link-local addresses get the interface they are reached through.
func (d *Driver) base(t Target) string {
	a := t.Address
	if a.Is6() && a.IsLinkLocalUnicast() && d.cfg.Zone != "" {
		a = a.WithZone(d.cfg.Zone)
	}
	host := net.JoinHostPort(strings.ReplaceAll(a.String(), "%", "%25"), strconv.Itoa(d.cfg.Port))
	return "https://" + host
}

// client returns the connections to an amphora, and forgets those of amphorae that nobody asked for long.
func (d *Driver) client(t Target) (*http.Client, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for target, c := range d.clients {
		if now.Sub(c.used) > idleTimeout {
			c.http.CloseIdleConnections()
			delete(d.clients, target)
		}
	}
	if c, ok := d.clients[t]; ok {
		c.used = now
		return c.http, nil
	}
	c := &client{used: now, http: &http.Client{
		Transport: &http.Transport{
			DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return d.dial(ctx, t, network, address)
			},
			ResponseHeaderTimeout: d.cfg.ReadTimeout,
			IdleConnTimeout:       30 * time.Second,
			MaxIdleConns:          2,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	d.clients[t] = c
	return c.http, nil
}

// silence is how long an amphora's kernel may not answer. That is far shorter than what an agent may take for an answer, and a pass
// that waits for an amphora that is gone keeps the load balancer from getting another one.
const silence = 20 * time.Second

// probes find out when there is nothing to send.
var probes = net.KeepAliveConfig{Enable: true, Idle: silence / 4, Interval: silence / 4, Count: 3}

// giveUp bounds how long what was sent may stay unanswered.
func giveUp(_ context.Context, _, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	})
	return errors.Join(err, failed)
}

// dial connects with the files as they are now, so that rotated ones need no restart. The certificate has to be the
// amphora's: its name is the amphora's id, not the address.
func (d *Driver) dial(ctx context.Context, t Target, network, address string) (net.Conn, error) {
	certificate, err := d.cfg.Client()
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	roots, err := d.cfg.ServerCA()
	if err != nil {
		return nil, fmt.Errorf("server CA: %w", err)
	}
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: d.cfg.ConnectTimeout, KeepAliveConfig: probes, ControlContext: giveUp},
		Config: &tls.Config{
			ServerName: t.AmphoraID, RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: d.cfg.MinTLS,
		},
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.ConnectTimeout)
	defer cancel()
	return dialer.DialContext(ctx, network, address)
}

// Close drops all idle connections.
func (d *Driver) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.clients {
		c.http.CloseIdleConnections()
	}
}

// noInterface is what an agent says while the NIC it shall plug has not appeared.
const noInterface = "No suitable network interface found"

// refusal reads the shapes in which agents say no. A 404 that is not JSON, or that misses the NIC, comes from an
// amphora that is still booting.
func (a answer) refusal(op string) *AgentError {
	var body struct {
		Message string `json:"message"`
		Details string `json:"details"`
		Error   string `json:"error"`
	}
	isJSON := a.kind == "application/json" && json.Unmarshal(a.body, &body) == nil
	words := []string{}
	for _, w := range []string{body.Error, body.Message, body.Details} {
		if w != "" {
			words = append(words, w)
		}
	}
	message := strings.Join(words, ": ")
	if !isJSON {
		message = string(a.body)
	}
	// Databases refuse a text that is not UTF-8, or that holds NUL.
	message = strings.ReplaceAll(strings.ToValidUTF8(bounded(haproxyPID.ReplaceAllString(message, "$1 ")), "?"), "\x00", "?")
	notReady := a.status == http.StatusNotFound && (!isJSON || strings.Contains(body.Details, noInterface))
	return &AgentError{
		Op: op, Status: a.status, Message: message, NotReady: notReady || a.status == http.StatusServiceUnavailable,
		Err: fmt.Errorf("HTTP %d", a.status),
	}
}

// haproxyPID is the number of the process in haproxy's words, which has them differ each time it says the same.
var haproxyPID = regexp.MustCompile(`(?m)^(\[[A-Z]+\])\s+\(\d+\) : `)

// bounded shortens what an agent said. Of haproxy's words the alerts count; warnings may be many and come first.
func bounded(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	var alerts strings.Builder
	for line := range strings.Lines(message) {
		if strings.Contains(line, "[ALERT]") {
			alerts.WriteString(line)
		}
	}
	if alerts.Len() > 0 {
		message = alerts.String()
	}
	return message[:min(len(message), maxMessage)]
}

// missing says that the agent answered that the object is not there.
func missing(err error) bool {
	var e *AgentError
	return errors.As(err, &e) && e.Status == http.StatusNotFound && !e.NotReady
}

// except makes one status a success.
func except(status int, err error) error {
	var e *AgentError
	if errors.As(err, &e) && e.Status == status {
		return nil
	}
	return err
}
