package config

import (
	"fmt"
	"log/slog"
)

// Secret is a password, a key or a URL that holds one. However it is printed, logged or
// marshalled, it shows as ***; only Reveal gives it away.
type Secret string

const hidden = "***"

// Reveal returns the secret itself, for the one who must send or use it.
func (s Secret) Reveal() string { return string(s) }

// Format prints *** for every verb, and nothing for an empty secret.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.mask())) }

// LogValue is what slog prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.mask()) }

// MarshalText is what JSON and other encoders write.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.mask()), nil }

func (s Secret) mask() string {
	if s == "" {
		return ""
	}
	return hidden
}
