package churn

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/haproxy"
)

// Amphora is what is changed.
type Amphora interface {
	// Apply has haproxy run a configuration.
	Apply(ctx context.Context, cfg []byte) error
	// PutFile stores a file where the load balancer's certificates are.
	PutFile(ctx context.Context, name string, content []byte) error
	// RestartAgent returns when another agent answers.
	RestartAgent(ctx context.Context) error
}

// Play is what is played where.
type Play struct {
	LoadBalancerID    string
	BasePath, CertDir string
	VIP               netip.Addr
	Members           []netip.AddrPort // that answer, all the time; at least two
	// Times are how often each thing is done; nil = as the product promises.
	Times map[string]int
	Seed  uint64
}

// Things that are done.
const (
	Member      = "member"
	Listener    = "listener"
	Policy      = "policy"
	Certificate = "certificate"
	Agent       = "agent restart"
)

// Promised is how often the product promises that each is noticed by nobody.
func Promised() map[string]int {
	return map[string]int{Member: 200, Listener: 10, Policy: 10, Certificate: 20, Agent: 5}
}

// Took are how long the changes took, by thing.
type Took map[string][]time.Duration

// Run makes the changes, in an order that depends on the seed alone.
func (p Play) Run(ctx context.Context, a Amphora) (Took, error) {
	s := p.stage(a)
	if err := s.certificate(ctx); err != nil {
		return nil, err
	}
	took := Took{}
	for _, thing := range s.plan(p.Times) {
		began := time.Now()
		if err := s.do(ctx, thing); err != nil {
			return took, fmt.Errorf("%s: %w", thing, err)
		}
		took[thing] = append(took[thing], time.Since(began))
	}
	return took, nil
}

// Prepare applies what the changes begin with.
func (p Play) Prepare(ctx context.Context, a Amphora) error { return p.stage(a).certificate(ctx) }

type stage struct {
	play    Play
	amphora Amphora
	random  *mathrand.Rand
	doc     amphora.LoadBalancer
	made    int // members; ids do not come back
}

func (p Play) stage(a Amphora) *stage {
	s := &stage{
		play: p, amphora: a, random: mathrand.New(mathrand.NewPCG(p.Seed, 0)), //nolint:gosec // changes, not secrets
		doc: amphora.LoadBalancer{
			ID: p.LoadBalancerID, Enabled: true, VIP: p.VIP,
			Listeners: []amphora.Listener{
				{ID: "L1", Protocol: "HTTP", Port: 80, Enabled: true, ConnectionLimit: 2000, DefaultPoolID: "P1"},
				{ID: "L2", Protocol: "TERMINATED_HTTPS", Port: 443, Enabled: true, ConnectionLimit: 2000, DefaultPoolID: "P1", TLS: &amphora.ListenerTLS{Certificate: true}},
			},
			Pools: []amphora.Pool{{
				ID: "P1", Protocol: "HTTP", Algorithm: "ROUND_ROBIN", Enabled: true,
				Monitor: &amphora.Monitor{ID: "H1", Type: "TCP", Enabled: true, Delay: 2, Timeout: 1, RiseThreshold: 2, FallThreshold: 3},
			}},
		},
	}
	// One stays as it is: somebody has to answer.
	for range 3 {
		s.doc.Pools[0].Members = append(s.doc.Pools[0].Members, s.member())
	}
	return s
}

func (s *stage) plan(times map[string]int) []string {
	if times == nil {
		times = Promised()
	}
	var out []string
	for thing, n := range times {
		out = append(out, slices.Repeat([]string{thing}, n)...)
	}
	slices.Sort(out)
	s.random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (s *stage) do(ctx context.Context, thing string) error {
	switch thing {
	case Member:
		s.changeMembers()
	case Listener:
		s.changeListeners()
	case Policy:
		s.changePolicies()
	case Certificate:
		return s.certificate(ctx)
	case Agent:
		return s.amphora.RestartAgent(ctx)
	default:
		return errors.New("nobody knows how")
	}
	return s.apply(ctx)
}

func (s *stage) apply(ctx context.Context) error {
	cfg, _, err := haproxy.Render(s.doc, haproxy.Options{
		AmphoraID: "a", HAProxyMajor: 2, HAProxyMinor: 6, BasePath: s.play.BasePath, BaseCertDir: s.play.CertDir,
	})
	if err != nil {
		return err
	}
	return s.amphora.Apply(ctx, cfg)
}

func (s *stage) member() amphora.Member {
	s.made++
	at := s.play.Members[s.random.IntN(len(s.play.Members))]
	return amphora.Member{ID: fmt.Sprintf("M%d", s.made), Address: at.Addr(), Port: int(at.Port()), Weight: 1, Enabled: true}
}

// changeMembers adds, removes, or changes one, but never the first.
func (s *stage) changeMembers() {
	members := &s.doc.Pools[0].Members
	if len(*members) < 2 || s.random.IntN(3) == 0 && len(*members) < 6 {
		*members = append(*members, s.member())
		return
	}
	i := 1 + s.random.IntN(len(*members)-1)
	m := &(*members)[i]
	switch s.random.IntN(4) {
	case 0:
		*members = slices.Delete(*members, i, i+1)
	case 1:
		m.Weight = s.random.IntN(5)
	case 2:
		m.Enabled = !m.Enabled
	case 3:
		at := s.play.Members[s.random.IntN(len(s.play.Members))]
		m.Address, m.Port = at.Addr(), int(at.Port())
	}
}

func (s *stage) changeListeners() {
	if len(s.doc.Listeners) > 2 {
		s.doc.Listeners = s.doc.Listeners[:2]
		return
	}
	s.doc.Listeners = append(s.doc.Listeners, amphora.Listener{
		ID: "L3", Protocol: "HTTP", Port: 8080, Enabled: true, ConnectionLimit: 2000, DefaultPoolID: "P1",
	})
}

func (s *stage) changePolicies() {
	l := &s.doc.Listeners[0]
	n := len(l.Policies)
	if n > 3 {
		l.Policies = nil
		return
	}
	l.Policies = append(l.Policies, amphora.L7Policy{
		ID: fmt.Sprintf("A%d", n), Action: "REJECT", Enabled: true, Position: n + 1,
		Rules: []amphora.L7Rule{{ID: fmt.Sprintf("R%d", n), Type: "PATH", CompareType: "EQUAL_TO", Value: fmt.Sprintf("/%d", n), Enabled: true}},
	})
}

// certificate renews the one of the listener with TLS: another file, as controllers name it by what is in it.
func (s *stage) certificate(ctx context.Context) error {
	bundle, name, err := SelfSigned()
	if err != nil {
		return err
	}
	list := fmt.Sprintf("%s/%s/%s\n", s.play.CertDir, s.doc.ID, name)
	return errors.Join(s.amphora.PutFile(ctx, name, bundle), s.amphora.PutFile(ctx, "L2.pem", []byte(list)), s.apply(ctx))
}

// SelfSigned makes a certificate and its key, in one file, as controllers name it.
func SelfSigned() (bundle []byte, name string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, "", err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "site"}, DNSNames: []string{"site"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, "", err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, "", err
	}
	bundle = append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})...)
	return bundle, fmt.Sprintf("%040x.pem", serial), nil
}
