package api

import (
	"fmt"
	"slices"
	"strings"
)

var (
	// tlsVersions are in order of age.
	tlsVersions = []string{"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}
	alpnIDs     = []string{"h2", "http/1.1", "http/1.0"}
)

// checkCiphers tests a cipher string.
func (c Config) checkCiphers(ciphers field[string]) error {
	if ciphers.value == "" {
		return nil
	}
	if strings.ContainsFunc(ciphers.value, func(r rune) bool { return !cipherRune(r) }) {
		return Invalid("Invalid characters in cipher string. Only alphanumeric, -, +, !, :, @, =, _, and . are allowed.")
	}
	if bad := c.prohibited(ciphers.value); len(bad) > 0 {
		return Invalid("The following ciphers have been prohibited by an administrator: " + strings.Join(bad, ", "))
	}
	return nil
}

func cipherRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-+!:@=_.", r)
}

// checkTLSOptions tests TLS versions and ALPN ids where they are given.
func (c Config) checkTLSOptions(versions, alpn field[[]string]) error {
	if err := c.checkVersions(versions); err != nil {
		return err
	}
	if alpn.given() && len(alpn.value) == 0 {
		return Invalid("Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use the default.")
	}
	return nil
}

func (c Config) checkVersions(versions field[[]string]) error {
	if !versions.given() {
		return nil
	}
	if len(versions.value) == 0 {
		return Invalid("Empty TLS version list. Either specify at least one TLS version or remove this parameter to use the default.")
	}
	var unknown []string
	for _, v := range versions.value {
		if !slices.Contains(tlsVersions, v) {
			unknown = append(unknown, v)
		}
	}
	if len(unknown) > 0 {
		return Invalid("Invalid TLS versions: " + strings.Join(unknown, ", "))
	}
	if low := c.belowMinimum(versions.value); len(low) > 0 {
		return Invalid(fmt.Sprintf("Requested TLS versions are less than the minimum: %s < %s", strings.Join(low, ", "), c.MinimumTLS))
	}
	return nil
}
