package e2e_test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"

	"github.com/ottavino/ottavino/internal/certtest"
)

// TestTLSTraffic: what policies can tell of a client's certificate, and gRPC from end to end. At last the load balancer is
// disabled, and enabled again.
func TestTLSTraffic(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	x := &rows{tlsLab: &tlsLab{lab: l, owner: l.owner(l.sandbox.Settings().Tenant), actor: l.actor("rows")}}
	ca := certtest.Issue(t, nil, "a CA")
	site, me, other := certtest.Issue(t, ca, "www.example.com"), certtest.Issue(t, ca, "me"), certtest.Issue(t, ca, "other")
	front := attrs{"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": x.store(site.Bundle())}
	asked := front.with(attrs{"client_authentication": "OPTIONAL", "client_ca_tls_container_ref": x.store(ca.PEM())})
	conf := func(certificates ...*certtest.Issued) *tls.Config {
		c := &tls.Config{RootCAs: ca.Pool(), ServerName: "www.example.com"}
		for _, i := range certificates {
			c.Certificates = append(c.Certificates, i.TLS())
		}
		return c
	}
	// rejects is a listener that rejects what a rule matches, and says who is rejected: nobody, me, other.
	rejects := func(name string, nobody, meToo, others bool, r attrs) trafficRow {
		listener := asked.with(attrs{
			"default_pool": x.poolOf("HTTP", nil, memberAt(teller(t, "member", nil))),
			"l7policies":   []attrs{{"action": "REJECT", "rules": []attrs{r}}},
		})
		return trafficRow{"policy: " + name, listener, func(r *route) {
			t := r.t
			t.Helper()
			for who, c := range map[string]struct {
				conf     *tls.Config
				rejected bool
			}{"nobody": {conf(), nobody}, "me": {conf(me), meToo}, "other": {conf(other), others}} {
				if got := r.secure(t, c.conf); (got == http.StatusForbidden) != c.rejected || got != http.StatusForbidden && got != http.StatusOK {
					t.Errorf("%s: got %d, want rejected: %t", who, got, c.rejected)
				}
			}
		}}
	}
	plain := attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", nil, memberAt(teller(t, "member", nil)))}
	all := []trafficRow{
		rejects("SSL_CONN_HAS_CERT", false, true, true, rule("SSL_CONN_HAS_CERT", "EQUAL_TO", "True", nil)),
		rejects("SSL_CONN_HAS_CERT, inverted", true, false, false, rule("SSL_CONN_HAS_CERT", "EQUAL_TO", "True", attrs{"invert": true})),
		rejects("SSL_VERIFY_RESULT", true, true, true, rule("SSL_VERIFY_RESULT", "EQUAL_TO", "0", nil)),
		rejects("SSL_DN_FIELD", false, true, false, rule("SSL_DN_FIELD", "EQUAL_TO", "me", attrs{"key": "CN"})),
		{
			"gRPC", front.with(attrs{"alpn_protocols": []string{"h2"}, "default_pool": x.poolOf("HTTP", attrs{
				"tls_enabled": true, "alpn_protocols": []string{"h2"}, "ca_tls_container_ref": x.store(ca.PEM()),
			}, memberAt(grpcMember(t, site)))}),
			func(r *route) { t := r.t; r.grpc(t, conf()) },
		},
		{
			"PROXYV2 tells of TLS", asked.with(attrs{"default_pool": x.poolOf("PROXYV2", nil, memberAt(toldOfTLS(t)))}),
			func(r *route) {
				t := r.t
				t.Helper()
				for want, c := range map[string]*tls.Config{"TLS, from nobody": conf(), "TLS, from me": conf(me)} {
					if got := r.secureBody(t, c); got != want {
						t.Errorf("the member was told %q, want %q", got, want)
					}
				}
			},
		},
		{"plain", plain, answeredBy("member")},
	}
	routes := x.stack(all)
	t.Run("rows", func(t *testing.T) {
		for _, row := range all {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				routes[row.name].t = t
				row.check(routes[row.name])
			})
		}
	})
	routes["plain"].t = t
	for _, up := range []bool{false, true} {
		if _, err := loadbalancers.Update(t.Context(), x.tenant, x.actor.lb, loadbalancers.UpdateOpts{AdminStateUp: &up}).Extract(); err != nil {
			t.Fatal(err)
		}
		x.settle()
		if up {
			answeredBy("member")(routes["plain"])
		} else {
			refuses(routes["plain"])
		}
	}
	x.end()
}

// secure is the status of a request over TLS.
func (r *route) secure(t *testing.T, conf *tls.Config) int {
	t.Helper()
	status, _ := r.secureAnswer(t, conf)
	return status
}

func (r *route) secureBody(t *testing.T, conf *tls.Config) string {
	t.Helper()
	_, body := r.secureAnswer(t, conf)
	return body
}

func (r *route) secureAnswer(t *testing.T, conf *tls.Config) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := client.Get("https://" + r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// toldOfTLS is a member that answers with what the PROXY protocol tells of the client's TLS.
func toldOfTLS(t *testing.T) int {
	t.Helper()
	l := listenOutside(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				_, told, err := proxyTLVs(in)
				if err == nil {
					_, err = http.ReadRequest(in)
				}
				words := fmt.Sprint("no TLS ", err)
				if ssl := told[0x20]; len(ssl) >= 5 && ssl[0]&1 != 0 {
					words = "TLS, from " + cmp.Or(string(tlvs(ssl[5:])[0x22]), "nobody")
				}
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(words), words)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// grpcMember speaks as gRPC does: HTTP/2, messages as they come, the status in trailers.
func grpcMember(t *testing.T, who *certtest.Issued) int {
	t.Helper()
	l := listenOutside(t)
	server := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{who.TLS()}, NextProtos: []string{"h2"}},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			_ = http.NewResponseController(w).Flush()
			message := make([]byte, 5)
			for {
				if _, err := io.ReadFull(r.Body, message); err != nil {
					break
				}
				_, _ = w.Write(message)
				_ = http.NewResponseController(w).Flush()
			}
			w.Header().Set("Grpc-Status", fmt.Sprint(r.ProtoMajor-2)) // 0 is OK
		}),
	}
	go func() { _ = server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// grpc is a stream in both directions: each message is answered before the next is sent.
func (r *route) grpc(t *testing.T, conf *tls.Config) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	out, in := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+r.address+"/service/Method", out)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	resp, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for i := range byte(3) {
		message := []byte{0, 0, 0, 0, i}
		if _, err := in.Write(message); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(message))
		if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, message) {
			t.Fatalf("message %d: got %v, %v, want it back", i, got, err)
		}
	}
	_ = in.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.ProtoMajor != 2 || resp.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("got %s with trailers %v, want HTTP/2 and status 0", resp.Proto, resp.Trailer)
	}
}
