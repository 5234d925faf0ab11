// Package heartbeat is the wire format of amphora heartbeats, both ends: zlib of JSON, followed by an
// HMAC-SHA-256 in lower-case hex.
package heartbeat

import (
	"bytes"
	"compress/zlib"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Version is the version of messages that Encode makes.
const Version = 3

// Message is version 3 of the message. Keys of Pools are "<pool id>:<listener id>".
type Message struct {
	ID        string              `json:"id"`
	Seq       int64               `json:"seq"`
	Ver       int                 `json:"ver"`
	Listeners map[string]Listener `json:"listeners"`
	Pools     map[string]Pool     `json:"pools"`
}

// Listener is a frontend's state. Status is OPEN or FULL.
type Listener struct {
	Status string `json:"status"`
	Stats  Stats  `json:"stats"`
}

// Stats are deltas since the last message, except Conns. Units: bytes and connections.
type Stats struct {
	TX       int64 `json:"tx"`
	RX       int64 `json:"rx"`
	Conns    int64 `json:"conns"`
	TotConns int64 `json:"totconns"`
	EReq     int64 `json:"ereq"`
}

// Pool is a backend's state. Status is UP or DOWN; members map id to UP, DOWN, DRAIN, MAINT, "no check", RESTARTING.
type Pool struct {
	Status  string            `json:"status"`
	Members map[string]string `json:"members"`
}

// Encode makes a datagram. nil maps become empty objects, as upstream's receiver wants them.
func Encode(m Message, key []byte) ([]byte, error) {
	if m.Listeners == nil {
		m.Listeners = map[string]Listener{}
	}
	if m.Pools == nil {
		m.Pools = map[string]Pool{}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode heartbeat: %w", err)
	}
	var out bytes.Buffer
	z, err := zlib.NewWriterLevel(&out, zlib.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("encode heartbeat: %w", err)
	}
	if _, err := z.Write(text); err != nil {
		return nil, fmt.Errorf("encode heartbeat: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("encode heartbeat: %w", err)
	}
	sum := digest(out.Bytes(), key)
	return hex.AppendEncode(out.Bytes(), sum), nil
}

func digest(data, key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(data)
	return mac.Sum(nil)
}

// ErrUnverified says that no key made this datagram: a wrong key, truncation, or garbage.
var ErrUnverified = errors.New("heartbeat cannot be verified with heartbeat_key")

// maxText bounds what a datagram may inflate to, against bombs from a stolen key.
const maxText = 8 << 20

// Decode verifies and reads a datagram of any version (pools inside listeners of versions 0 and 1 are lifted).
// A wrong key, truncation or garbage is an error; nothing unverified is parsed, and the size is bounded.
func Decode(datagram []byte, keys ...[]byte) (Message, error) {
	body, ok := verify(datagram, keys)
	if !ok {
		return Message{}, ErrUnverified
	}
	text, err := inflate(body)
	if err != nil {
		return Message{}, fmt.Errorf("inflate heartbeat: %w", err)
	}
	m, err := parse(text)
	if err != nil {
		return Message{}, fmt.Errorf("read heartbeat: %w", err)
	}
	return m, nil
}

// verify returns the body when its digest, in hex or raw as old amphorae send it, is of one of the keys.
func verify(datagram []byte, keys [][]byte) ([]byte, bool) {
	for _, key := range keys {
		if cut := len(datagram) - hex.EncodedLen(sha256.Size); cut > 0 {
			want := hex.AppendEncode(nil, digest(datagram[:cut], key))
			if hmac.Equal(want, datagram[cut:]) {
				return datagram[:cut], true
			}
		}
		if cut := len(datagram) - sha256.Size; cut > 0 && hmac.Equal(digest(datagram[:cut], key), datagram[cut:]) {
			return datagram[:cut], true
		}
	}
	return nil, false
}

func inflate(body []byte) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(z, maxText+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxText {
		return nil, errors.New("too large")
	}
	return text, nil
}

// old is a message in which listeners hold their pools.
type old struct {
	Listeners map[string]struct {
		Pools map[string]Pool `json:"pools"`
	} `json:"listeners"`
}

// topLevelPools is the first version whose pools are not inside listeners.
const topLevelPools = 2

func parse(text []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(text, &m); err != nil {
		return m, err
	}
	if m.ID == "" {
		return m, errors.New("no amphora id")
	}
	if m.Ver >= topLevelPools {
		return m, nil
	}
	var before old
	if err := json.Unmarshal(text, &before); err != nil {
		return m, err
	}
	m.Pools = map[string]Pool{}
	for listener, l := range before.Listeners {
		for pool, p := range l.Pools {
			m.Pools[pool+":"+listener] = p
		}
	}
	return m, nil
}
