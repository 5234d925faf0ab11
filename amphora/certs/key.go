package certs

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // PBKDF2's default in keys that exist
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// parseKey reads a private key as openssl writes it: PKCS#1, SEC 1 or PKCS#8, encrypted or not.
func parseKey(text []byte, passphrase string) (crypto.Signer, error) {
	block := keyBlock(text)
	if block == nil {
		return nil, errors.New("no key in the file")
	}
	der := block.Bytes
	var err error
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY":
		der, err = decryptPKCS8(der, passphrase)
	case x509.IsEncryptedPEMBlock(block): //nolint:staticcheck // keys of old installations are encrypted this way
		der, err = x509.DecryptPEMBlock(block, []byte(passphrase)) //nolint:staticcheck // see above
	}
	if err != nil {
		return nil, err
	}
	return parseDER(der)
}

// keyBlock skips what may stand before a key: its curve's parameters, a certificate. nil = no key.
func keyBlock(text []byte) *pem.Block {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block
		}
	}
	return nil
}

func parseDER(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("the key is none we can read, or its passphrase is another")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T cannot sign", key)
	}
	return signer, nil
}

// The structures of PKCS#5 version 2 (RFC 8018), which `openssl genrsa -aes256` uses.
type (
	encryptedKey struct {
		Algorithm struct {
			ID     asn1.ObjectIdentifier
			Params struct {
				Derivation pkix.AlgorithmIdentifier
				Cipher     pkix.AlgorithmIdentifier
			}
		}
		Data []byte
	}
	derivation struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}

	// keyLengths of AES in CBC mode, by object identifier.
	keyLengths = map[string]int{"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}

	hashes = map[string]func() hash.Hash{
		"":                    sha1.New,
		"1.2.840.113549.2.7":  sha1.New,
		"1.2.840.113549.2.9":  sha256.New,
		"1.2.840.113549.2.11": sha512.New,
		"1.2.840.113549.2.8":  sha256.New224,
		"1.2.840.113549.2.10": sha512.New384,
	}
)

var errPassphrase = errors.New("the key's passphrase is another")

// maxIterations bounds the work that a file can ask for.
const maxIterations = 10_000_000

func decryptPKCS8(der []byte, passphrase string) ([]byte, error) {
	var key encryptedKey
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	params := key.Algorithm.Params
	if !key.Algorithm.ID.Equal(oidPBES2) || !params.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, errors.New("the key is encrypted in a way we do not know; use openssl pkcs8 -topk8 -v2 aes256")
	}
	var d derivation
	if _, err := asn1.Unmarshal(params.Derivation.Parameters.FullBytes, &d); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	var iv []byte
	if _, err := asn1.Unmarshal(params.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	size, newHash := keyLengths[params.Cipher.Algorithm.String()], hashes[oidText(d.PRF.Algorithm)]
	if size == 0 || newHash == nil || d.Iterations < 1 || d.Iterations > maxIterations || len(iv) != aes.BlockSize {
		return nil, errors.New("the key is encrypted in a way we do not know; use openssl pkcs8 -topk8 -v2 aes256")
	}
	secret, err := pbkdf2.Key(newHash, passphrase, d.Salt, d.Iterations, size)
	if err != nil {
		return nil, err
	}
	return decryptCBC(secret, iv, key.Data)
}

func oidText(id asn1.ObjectIdentifier) string {
	if len(id) == 0 {
		return ""
	}
	return id.String()
}

func decryptCBC(secret, iv, data []byte) ([]byte, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, errPassphrase
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errPassphrase
	}
	return plain[:len(plain)-pad], nil
}
