package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
)

// Sealer encrypts what is stored outside of the key manager: AES-256-GCM under keys derived from [certificates]
// server_certs_key_passphrase. As upstream has it, the first key encrypts and all decrypt, so that keys can be changed.
type Sealer struct{ keys []cipher.AEAD }

// NewSealer derives the keys; there has to be one.
func NewSealer(passphrases []string) (*Sealer, error) {
	if len(passphrases) == 0 {
		return nil, errors.New("there is no key to encrypt certificates with")
	}
	s := &Sealer{}
	for _, p := range passphrases {
		key, err := hkdf.Key(sha256.New, []byte(p), nil, "ottavino: copies of users' certificates", 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, aead)
	}
	return s, nil
}

// Seal encrypts. place says what is sealed, such as the key of a row: sealed elsewhere it does not open.
func (s *Sealer) Seal(plain []byte, place string) []byte {
	return s.keys[0].Seal(nil, nil, plain, []byte(place))
}

var errSealed = errors.New("it is not encrypted under one of [certificates] server_certs_key_passphrase")

// Open decrypts what Seal encrypted for the same place.
func (s *Sealer) Open(sealed []byte, place string) ([]byte, error) {
	for _, k := range s.keys {
		if plain, err := k.Open(nil, nil, sealed, []byte(place)); err == nil {
			return plain, nil
		}
	}
	return nil, errSealed
}
