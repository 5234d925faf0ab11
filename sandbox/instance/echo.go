package instance

import (
	"context"
	"fmt"
	"net"
)

// answerDatagrams answers every datagram to the port of the web server with a name and a line feed.
func answerDatagrams(name string) error {
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(context.Background(), "udp", fmt.Sprintf(":%d", webPort))
	if err != nil {
		return err
	}
	go func() {
		buffer := make([]byte, 65536)
		for {
			_, from, err := conn.ReadFrom(buffer)
			if err != nil {
				continue // of one that is gone meanwhile
			}
			_, _ = conn.WriteTo([]byte(name+"\n"), from)
		}
	}()
	return nil
}
