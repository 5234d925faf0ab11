package checker

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Chunks of RFC 9260, section 3.2.
const (
	chunkInit    = 1
	chunkInitAck = 2
	chunkAbort   = 6
)

const (
	headerLength = 12 // of a packet
	initLength   = 20 // of a chunk INIT
	window       = 106496
	slice        = 200 * time.Millisecond
)

// probe is one attempt to begin an association.
type probe struct {
	fd   int
	to   netip.AddrPort
	from uint16 // our port
	tag  uint32 // what answers carry
}

// sctp begins an association and ends it as soon as the member agrees. It speaks for itself: the kernel may not know SCTP.
func sctp(to netip.AddrPort, patience time.Duration) (int, error) {
	fd, err := dial(to.Addr())
	if err != nil {
		return refused, err
	}
	defer unix.Close(fd)
	var dice [10]byte
	_, _ = rand.Read(dice[:])
	p := probe{fd: fd, to: to, from: 1024 + binary.BigEndian.Uint16(dice[:])%60000, tag: max(1, binary.BigEndian.Uint32(dice[2:]))}
	if err := p.send(0, p.init(binary.BigEndian.Uint32(dice[6:]))); err != nil {
		return refused, err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		chunk, err := p.receive()
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR), err == nil && chunk == nil:
			continue
		case err != nil:
			return refused, err
		case chunk[0] == chunkAbort:
			return refused, nil
		case chunk[0] == chunkInitAck:
			return up, p.end(chunk)
		}
		return unsettled, nil
	}
	return silent, nil
}

// dial opens a socket for SCTP packets to and from an address.
func dial(to netip.Addr) (int, error) {
	family, address := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Addr: [4]byte(to.AsSlice())})
	if to.Is6() {
		family, address = unix.AF_INET6, &unix.SockaddrInet6{Addr: to.As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return 0, err
	}
	timeout := unix.NsecToTimeval(int64(slice))
	if err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout), unix.Connect(fd, address)); err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

func (p probe) init(sequence uint32) []byte {
	chunk := []byte{chunkInit, 0, 0, initLength}
	chunk = binary.BigEndian.AppendUint32(chunk, p.tag)
	chunk = binary.BigEndian.AppendUint32(chunk, window)
	chunk = binary.BigEndian.AppendUint16(chunk, 10)     // streams out
	chunk = binary.BigEndian.AppendUint16(chunk, 0xffff) // streams in, at most
	return binary.BigEndian.AppendUint32(chunk, sequence)
}

func (p probe) send(tag uint32, chunk []byte) error {
	packet := binary.BigEndian.AppendUint16(nil, p.from)
	packet = binary.BigEndian.AppendUint16(packet, p.to.Port())
	packet = binary.BigEndian.AppendUint32(packet, tag)
	packet = append(append(packet, 0, 0, 0, 0), chunk...)
	binary.LittleEndian.PutUint32(packet[8:], crc32.Checksum(packet, crc32.MakeTable(crc32.Castagnoli)))
	_, err := unix.Write(p.fd, packet)
	return err
}

// receive returns the first chunk of an answer to this probe; nil for a packet that is none.
func (p probe) receive() ([]byte, error) {
	buffer := make([]byte, 65536)
	n, err := unix.Read(p.fd, buffer)
	if err != nil {
		return nil, err
	}
	packet := buffer[:n]
	if p.to.Addr().Is4() && n > 0 { // its header comes along
		packet = packet[min(n, int(packet[0]&0xf)*4):]
	}
	if len(packet) < headerLength+4 || binary.BigEndian.Uint16(packet) != p.to.Port() || binary.BigEndian.Uint16(packet[2:]) != p.from ||
		binary.BigEndian.Uint32(packet[4:]) != p.tag {
		return nil, nil
	}
	return packet[headerLength:], nil
}

// end has the member forget the association. A kernel that knows SCTP has done so already: it has no such association.
func (p probe) end(initAck []byte) error {
	protocols, err := os.ReadFile("/proc/net/protocols")
	if err == nil && bytes.Contains(protocols, []byte("\nSCTP ")) || len(initAck) < 8 {
		return nil
	}
	return p.send(binary.BigEndian.Uint32(initAck[4:]), []byte{chunkAbort, 0, 0, 4})
}
