package secret

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCost: files that ask for more work than anybody honest does are refused at once, wherever they say so.
func TestCost(t *testing.T) {
	dir := t.TempDir()
	openssl := func(line string) []byte {
		t.Helper()
		out := filepath.Join(dir, "out")
		cmd := exec.CommandContext(t.Context(), "openssl", append(strings.Fields(line), "-passout", "pass:", "-out", out)...)
		cmd.Dir = dir
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v %s", line, err, text)
		}
		content, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	cmd := exec.CommandContext(t.Context(), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-keyout", "key", "-out", "crt", "-days", "2", "-subj", "/CN=a")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	const export = "pkcs12 -export -inkey key -in crt "
	// 70001, and 8388607.
	few, many := []byte{2, 3, 1, 0x11, 0x71}, []byte{2, 3, 0x7f, 0xff, 0xff}
	for what, c := range map[string][]byte{
		"MAC":              openssl(export + "-iter 70001 -certpbe NONE -keypbe NONE"),
		"key":              openssl(export + "-iter 70001 -certpbe NONE -nomac"),
		"key and chain":    openssl(export + "-iter 70001"),
		"3DES":             openssl(export + "-iter 70001 -legacy -certpbe NONE -keypbe PBE-SHA1-3DES -nomac"),
		"PKCS#8":           der(t, openssl("pkcs8 -topk8 -in key -iter 70001")),
		"PKCS#8 by scrypt": der(t, openssl("pkcs8 -topk8 -in key -scrypt -scrypt_N 16384 -scrypt_r 8 -scrypt_p 1")),
	} {
		if err := affordable(c); err != nil {
			t.Errorf("%s: as OpenSSL writes it: %v", what, err)
		}
		costly := bytes.ReplaceAll(c, few, many)
		if what == "PKCS#8 by scrypt" {
			costly = bytes.ReplaceAll(c, []byte{2, 2, 0x40, 0, 2, 1, 8}, []byte{2, 2, 0x7f, 0xff, 2, 1, 0x7f})
		}
		if bytes.Equal(costly, c) {
			t.Errorf("%s: the number to change is not there", what)
		}
		if err := affordable(costly); !errors.Is(err, errCostly) {
			t.Errorf("%s: got %v, want a refusal", what, err)
		}
	}
	costly := bytes.ReplaceAll(openssl(export+"-iter 70001"), few, many)
	if _, err := parsePKCS12(costly); !errors.Is(err, errCostly) {
		t.Errorf("got %v, want a refusal", err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: bytes.ReplaceAll(der(t, openssl("pkcs8 -topk8 -in key -iter 70001")), few, many)})
	if _, err := parseKey(key, nil); !errors.Is(err, errCostly) {
		t.Errorf("got %v, want a refusal", err)
	}
}

func der(t *testing.T, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM: %s", text)
	}
	return block.Bytes
}
