package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ottavino/ottavino/sandbox"
)

// terminal is where a user types.
type terminal struct {
	*lab
	dir          string
	ask, answers *os.File // of the client
}

// clientFunction is the client as a shell's function: all commands are in one process, because starting it costs more than a command.
const clientFunction = `
openstack() {
	printf '%s\0' "$@" | base64 -w0 >&3
	echo >&3
	local status out err
	IFS=, read -r status out err <&4
	base64 -d <<<$out
	base64 -d <<<$err >&2
	return $status
}
`

func (l *lab) terminal(who sandbox.Login) *terminal {
	l.t.Helper()
	ask, answers := l.startClient(l.t, who, "shell")
	return &terminal{l, l.t.TempDir(), ask, answers}
}

// do runs a script and returns what it prints.
func (c *terminal) do(script string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", clientFunction+script)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), "SUBNET="+c.subnetID(), "TMPDIR="+c.t.TempDir())
	cmd.ExtraFiles = []*os.File{c.ask, c.answers}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("%v: %s\n%s", err, said.String(), out)
	}
	return string(out)
}

const (
	makeCertificates = `
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=a CA' -keyout ca.key -out ca.crt
for name in www.example.com shop.example.com client; do
	openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout $name.key -out $name.csr
	openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out $name.crt \
		-extfile <(printf "subjectAltName=DNS:$name")
done
`
	// The words of Octavia's cookbook for TLS-terminated load balancers, with its names.
	terminateTLS = `
openssl pkcs12 -export -inkey www.example.com.key -in www.example.com.crt -certfile ca.crt -passout pass: -out server.p12
openstack secret store --name='tls_secret1' -t 'application/octet-stream' -e 'base64' --payload="$(base64 < server.p12)"
openstack loadbalancer create --name lb1 --vip-subnet-id $SUBNET --wait
openstack loadbalancer listener create --protocol-port 443 --protocol TERMINATED_HTTPS --name listener1 --wait \
	--default-tls-container=$(openstack secret list | awk '/ tls_secret1 / {print $2}') lb1
openstack loadbalancer pool create --name pool1 --lb-algorithm ROUND_ROBIN --listener listener1 --protocol HTTP --wait
openstack loadbalancer member create --subnet-id $SUBNET --address 10.10.10.11 --protocol-port 80 --wait pool1
openstack loadbalancer show lb1 -f value -c vip_address | tee vip
`
	useSNI = `
openssl pkcs12 -export -inkey shop.example.com.key -in shop.example.com.crt -certfile ca.crt -passout pass: -out server2.p12
openstack secret store --name='tls_secret2' -t 'application/octet-stream' -e 'base64' --payload="$(base64 < server2.p12)"
openstack loadbalancer listener create --protocol-port 8443 --protocol TERMINATED_HTTPS --name listener2 --default-pool pool1 --wait \
	--default-tls-container=$(openstack secret list | awk '/ tls_secret1 / {print $2}') \
	--sni-container-refs $(openstack secret list | awk '/ tls_secret1 / {print $2}') $(openstack secret list | awk '/ tls_secret2 / {print $2}') -- lb1
`
	authenticateClients = `
openstack secret store --name='client_ca_cert' -t 'application/octet-stream' -e 'base64' --payload="$(base64 < ca.crt)"
openstack loadbalancer listener set --client-authentication=MANDATORY --wait \
	--client-ca-tls-container-ref=$(openstack secret list | awk '/ client_ca_cert / {print $2}') listener2
`
	// What was there before PKCS#12, and who may read.
	containersAndReaders = `
openstack secret store --name=cert -t text/plain --payload="$(cat shop.example.com.crt)"
openstack secret store --name=key -t text/plain --payload="$(cat shop.example.com.key)"
openstack secret container create --name=parts --type=certificate \
	--secret="certificate=$(openstack secret list | awk '/ cert / {print $2}')" \
	--secret="private_key=$(openstack secret list | awk '/ key / {print $2}')"
openstack loadbalancer listener create --protocol-port 9443 --protocol TERMINATED_HTTPS --name listener3 --default-pool pool1 --wait \
	--default-tls-container=$(openstack secret container list | awk '/ parts / {print $2}') lb1
key=$(openstack secret list | awk '/ key / {print $2}')
openstack acl get $key
openstack acl user add --user a-user $key
openstack acl delete $key
openstack secret get $(openstack secret list | awk '/ cert / {print $2}') --payload -f value
`
)

// TestTLSCookbook follows Octavia's cookbook with Debian's clients, openssl and curl.
func TestTLSCookbook(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	if _, err := l.sandbox.StartBackend(t.Context(), "member"); err != nil {
		t.Fatal(err)
	}
	do := l.terminal(l.sandbox.Settings().Tenant).do
	do(makeCertificates + terminateTLS)
	curl := "curl --silent --show-error --max-time 10 --cacert ca.crt --connect-to ::$(cat vip): "
	if got := do(curl + "https://www.example.com/"); got != "member\n" {
		t.Errorf("got %q through the VIP", got)
	}
	do(useSNI)
	for _, name := range []string{"www", "shop"} {
		if got := do(curl + "https://" + name + ".example.com:8443/"); got != "member\n" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	do(authenticateClients)
	if got := do(curl + "https://shop.example.com:8443/ 2>&1 || true"); strings.Contains(got, "member") {
		t.Errorf("without a certificate: got %q", got)
	}
	if got := do(curl + "--cert client.crt --key client.key https://shop.example.com:8443/"); got != "member\n" {
		t.Errorf("with a certificate: got %q", got)
	}
	said := do(containersAndReaders)
	if got := do(curl + "https://shop.example.com:9443/"); got != "member\n" {
		t.Errorf("with a container: got %q", got)
	}
	for _, want := range []string{"Project Access", "'a-user'", "BEGIN CERTIFICATE"} {
		if !strings.Contains(said, want) {
			t.Errorf("the key manager's client says %s, want %s", said, want)
		}
	}
	do("openstack loadbalancer delete --cascade --wait lb1; for ref in $(openstack secret list -f value -c 'Secret href'); do openstack secret delete $ref; done")
	if got := do("openstack secret list -f value"); got != "" {
		t.Errorf("left in the key manager: %s", got)
	}
	l.assertNoLeaks()
}
