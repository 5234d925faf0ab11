package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ottavino/ottavino/db/dbtest"
)

// TestNoop: with upstream's noop drivers and noauth, and nothing else configured, the same code needs no cloud.
func TestNoop(t *testing.T) {
	t.Parallel()
	l := &lab{t: t, url: "http://" + freeAddress(t), log: newLog(t)}
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(l.url, "http://"))
	l.conf = filepath.Join(t.TempDir(), "octavia.conf")
	text := fmt.Sprintf(`[api_settings]
auth_strategy = noauth
bind_port = %s
[controller_worker]
amphora_driver = amphora_noop_driver
compute_driver = compute_noop_driver
network_driver = network_noop_driver
image_driver = image_noop_driver
[health_manager]
bind_port = 0
[database]
connection = %s
`, port, dbtest.Server(t, dbtest.SQLite))
	if err := os.WriteFile(l.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	startServer(t, l.url, l.conf, l.log)
	l.tenant = &gophercloud.ServiceClient{
		ProviderClient: &gophercloud.ProviderClient{TokenID: "any"}, Endpoint: l.url + "/", ResourceBase: l.url + "/v2.0/",
		MoreHeaders: map[string]string{"X-Project-Id": "somebody"},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	a := &actor{api: l.tenant, name: "noop", subnet: "8e9d1c4e-7b8e-4a5a-9d8e-111111111111"}
	if err := l.lifeDespite(ctx, a); err != nil {
		t.Fatal(err)
	}
}
