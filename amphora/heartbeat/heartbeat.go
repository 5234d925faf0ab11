// Package heartbeat is the wire format of amphora heartbeats, both ends: zlib of JSON, followed by an
// HMAC-SHA-256 in lower-case hex.
package heartbeat

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

// Encode makes a datagram.
func Encode(m Message, key []byte) ([]byte, error) { panic("todo") }

// Decode verifies and reads a datagram of any version (pools inside listeners of versions 0 and 1 are lifted).
// A wrong key, truncation or garbage is an error; nothing unverified is parsed, and the size is bounded.
func Decode(datagram []byte, keys ...[]byte) (Message, error) { panic("todo") }
