package heartbeat_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ottavino/ottavino/amphora/heartbeat"
)

var key = []byte("insecure")

// upstreams is a datagram that upstream's sender made with the key "insecure".
func upstreams(tb testing.TB) []byte {
	tb.Helper()
	body, err := hex.DecodeString("78daab56ca4c51b252504a84025d0320d03501111620c200010c957414948a530b81ca0d80ac9ccce292d4bcd4a26220bfba162850909f9f03e794a5160199c6b500a2b71988")
	if err != nil {
		tb.Fatal(err)
	}
	return append(body, "81f95c4cbd5654c646dea5d5df0f012bad256fc39b89aaec81ef9542400f3f55"...)
}

func TestDecodeUpstreams(t *testing.T) {
	got, err := heartbeat.Decode(upstreams(t), []byte("other"), key)
	want := heartbeat.Message{
		ID: "aaaaaaaa-0000-4000-8000-000000000001", Ver: 3,
		Listeners: map[string]heartbeat.Listener{}, Pools: map[string]heartbeat.Pool{},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestRawDigest(t *testing.T) {
	d := upstreams(t)
	raw, err := hex.DecodeString(string(d[len(d)-64:]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := heartbeat.Decode(append(d[:len(d)-64:len(d)-64], raw...), key); err != nil {
		t.Error(err)
	}
}

func TestRoundTrip(t *testing.T) {
	want := heartbeat.Message{
		ID: "a", Seq: 67, Ver: heartbeat.Version,
		Listeners: map[string]heartbeat.Listener{"L1": {Status: "OPEN", Stats: heartbeat.Stats{TX: 1, RX: 2, Conns: 3, TotConns: 4, EReq: 5}}},
		Pools:     map[string]heartbeat.Pool{"P1:L1": {Status: "UP", Members: map[string]string{"M1": "UP", "M2": "no check"}}},
	}
	d, err := heartbeat.Encode(want, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := heartbeat.Decode(d, key)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestOldVersionsHoldPoolsInListeners(t *testing.T) {
	d := datagram(t, `{"id":"a","seq":1,"listeners":{"L1":{"status":"OPEN","stats":{},"pools":{"P1":{"status":"UP","members":{"M1":"UP"}}}}}}`)
	got, err := heartbeat.Decode(d, key)
	want := map[string]heartbeat.Pool{"P1:L1": {Status: "UP", Members: map[string]string{"M1": "UP"}}}
	if diff := cmp.Diff(want, got.Pools); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestRefused(t *testing.T) {
	good := upstreams(t)
	flipped := append([]byte{}, good...)
	flipped[10] ^= 1
	for name, d := range map[string][]byte{
		"empty": nil, "short": []byte("abc"), "truncated": good[:len(good)-1], "flipped": flipped,
		"no id":      datagram(t, `{"seq":1,"ver":3}`),
		"no object":  datagram(t, `[1]`),
		"not inside": datagram(t, strings.Repeat(" ", 9<<20)+`{"id":"a"}`),
	} {
		if _, err := heartbeat.Decode(d, key); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := heartbeat.Decode(good); err == nil {
		t.Error("accepted without a key")
	}
}

// FuzzDecode gives any bytes as a datagram, and as the text inside a verified one. Neither may panic, bytes that no key
// signed are refused, and what is accepted means the same after it was sent on.
func FuzzDecode(f *testing.F) {
	good := upstreams(f)
	f.Add(good)
	f.Add([]byte(`{"id":"a","ver":3,"listeners":{"L":{"status":"OPEN","stats":{"tx":1}}},"pools":{"P:L":{"status":"UP","members":{"M":"UP"}}}}`))
	f.Add([]byte(`{"id":"a","listeners":{"L":{"pools":{"P":{"status":"DOWN"}}}}}`))
	f.Add([]byte(`{"id":"\xff","seq":-1,"listeners":null,"pools":{"":{}}}`))
	f.Fuzz(func(t *testing.T, d []byte) {
		if _, err := heartbeat.Decode(d, key); err == nil && !bytes.Equal(d, good) {
			t.Fatalf("%q is accepted", d)
		}
		m, err := heartbeat.Decode(datagram(t, string(d)), key)
		if err != nil {
			return
		}
		m.Ver = heartbeat.Version // pools are where this version has them
		sent, err := heartbeat.Encode(m, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := heartbeat.Decode(sent, key)
		if diff := cmp.Diff(m, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}
