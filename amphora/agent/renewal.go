package agent

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // haproxy's name for a certificate
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// renewal is a certificate whose content is another: what haproxy calls it, and the file it is in now.
type renewal struct{ name, path string }

// renewals are the certificates that are others now, and what haproxy calls all that are afterwards; ok is false when
// another kind of file has changed, or a list by more than files in the place of others. Controllers name files by their content, so
// that a renewed certificate is in another file.
func renewals(from, to running, now layout) (out []renewal, names map[string]string, ok bool) {
	replaced, ok := replacements(from, to, now)
	if !ok {
		return nil, nil, false
	}
	names = maps.Clone(from.Names)
	if names == nil {
		names = map[string]string{}
	}
	fresh := map[string]bool{}
	for _, old := range slices.Sorted(maps.Keys(replaced)) {
		path := replaced[old]
		delete(names, old)
		names[path], fresh[path] = from.name(old), true
		out = append(out, renewal{names[path], path})
	}
	for _, path := range slices.Sorted(maps.Keys(now.files)) {
		digest, read := to.Files[path]
		switch {
		case fresh[path], read && from.Files[path] == digest:
		case read && now.files[path] == listFile: // seen by replacements
		case read && now.files[path] == certificateFile && from.Files[path] != "":
			out = append(out, renewal{cmp.Or(names[path], path), path})
		default:
			return nil, nil, false
		}
	}
	return out, names, true
}

// replacements are the files that took the place of others in lists, by the others.
func replacements(from, to running, now layout) (map[string]string, bool) {
	out, taken := map[string]string{}, map[string]bool{}
	for path, list := range to.Lists {
		was, is := entries(from.Lists[path]), entries(list)
		if len(was) != len(is) {
			return nil, false
		}
		for i := range is {
			old, path := was[i][0], is[i][0]
			if !slices.Equal(was[i][1:], is[i][1:]) {
				return nil, false
			}
			if old == path {
				continue
			}
			if known, again := out[old]; again && known != path || !again && taken[path] {
				return nil, false
			}
			out[old], taken[path] = path, true
		}
	}
	for old, path := range out {
		_, used := now.files[old]
		_, loaded := from.Files[path]
		if used || loaded {
			return nil, false
		}
	}
	return out, true
}

// changeCertificate has haproxy use another certificate; who is connected stays.
func (h *haproxy) changeCertificate(id string, c renewal) error {
	if !runtimeWord.MatchString(c.name) {
		return fmt.Errorf("certificate %s: %w", c.path, errNeedsReload)
	}
	content, err := os.ReadFile(c.path)
	if err != nil {
		return err
	}
	fingerprint, payload, err := payloadOf(content)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", c.path, err)
	}
	if _, err := h.admin(id, "set ssl cert "+c.name+" <<\n"+payload); err != nil {
		return err
	}
	said, err := h.admin(id, "commit ssl cert "+c.name)
	if err != nil {
		return err
	}
	shown, err := h.admin(id, "show ssl cert "+c.name)
	if err != nil {
		return err
	}
	if !strings.Contains(strings.ToUpper(shown), fingerprint) {
		_, _ = h.admin(id, "abort ssl cert "+c.name)
		return fmt.Errorf("haproxy does not take certificate %s: %s", c.path, strings.TrimSpace(said))
	}
	return nil
}

// payloadOf is a PEM file as haproxy's command line takes it, which an empty line ends, and the fingerprint of its first
// certificate.
func payloadOf(content []byte) (fingerprint, payload string, err error) {
	var out strings.Builder
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimSpace(line); line != "" {
			out.WriteString(line + "\n")
		}
	}
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return "", "", errors.New("it holds no certificate")
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", "", err
		}
		sum := sha1.Sum(block.Bytes) //nolint:gosec // see the import
		return strings.ToUpper(hex.EncodeToString(sum[:])), out.String() + "\n", nil
	}
}
