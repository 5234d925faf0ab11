package secret

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smallstep/pkcs7"
	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"
)

const (
	typeCertificate = "CERTIFICATE"
	typePKCS7       = "PKCS7"
)

// parsePKCS12 reads a bundle without a passphrase, or with an empty one.
func parsePKCS12(data []byte) (Bundle, error) {
	if err := affordable(data); err != nil {
		return Bundle{}, err
	}
	key, first, rest, err := pkcs12.DecodeChain(data, "")
	if err != nil {
		return Bundle{}, err
	}
	leaf, chain, err := matching(key, append([]*x509.Certificate{first}, rest...))
	if err != nil {
		return Bundle{}, err
	}
	b := Bundle{Certificate: encode(typeCertificate, leaf.Raw)}
	for _, c := range chain {
		b.Chain = append(b.Chain, encode(typeCertificate, c.Raw))
	}
	if b.Key, err = encodeKey(key); err != nil {
		return Bundle{}, err
	}
	return b, b.describe(leaf)
}

// matching finds the certificate of a key; the others, in their order, are its chain.
func matching(key any, certs []*x509.Certificate) (leaf *x509.Certificate, chain []*x509.Certificate, err error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("a key of type %T cannot be used", key)
	}
	public, ok := signer.Public().(interface{ Equal(x crypto.PublicKey) bool })
	if !ok {
		return nil, nil, fmt.Errorf("a key of type %T cannot be used", key)
	}
	i := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return public.Equal(c.PublicKey) })
	if i < 0 {
		return nil, nil, errors.New("the key belongs to none of the certificates")
	}
	return certs[i], slices.Delete(slices.Clone(certs), i, i+1), nil
}

// encode is PEM without white space around it.
func encode(kind string, der []byte) []byte {
	return bytes.TrimSpace(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// encodeKey writes a key in its traditional form, where it has one.
func encodeKey(key any) ([]byte, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k)), nil
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			return nil, err
		}
		return encode("EC PRIVATE KEY", der), nil
	case ed25519.PrivateKey:
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			return nil, err
		}
		return encode("PRIVATE KEY", der), nil
	}
	return nil, fmt.Errorf("a key of type %T cannot be used", key)
}

// errNameless says that a certificate is for nobody.
var errNameless = errors.New("no CN or DNS names found in the certificate")

// describe fills what the certificate says of itself.
func (b *Bundle) describe(c *x509.Certificate) error {
	b.NotAfter = c.NotAfter
	if c.Subject.CommonName != "" {
		b.Names = append(b.Names, strings.ToLower(c.Subject.CommonName))
	}
	b.Names = append(b.Names, c.DNSNames...)
	if len(b.Names) == 0 {
		return errNameless
	}
	return nil
}

// parts are what a certificate container or a directory holds.
type parts struct{ certificate, key, intermediates, passphrase []byte }

// bundle puts separate files together. The certificate's bytes stay as they are stored.
func (p parts) bundle() (Bundle, error) {
	block := find(p.certificate, func(kind string) bool { return kind == typeCertificate })
	if block == nil {
		return Bundle{}, errors.New("the certificate is not PEM")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return Bundle{}, err
	}
	key, err := parseKey(p.key, p.passphrase)
	if err != nil {
		return Bundle{}, err
	}
	if _, _, err := matching(key, []*x509.Certificate{leaf}); err != nil {
		return Bundle{}, errors.New("the key is not the certificate's")
	}
	b := Bundle{Certificate: p.certificate}
	if b.Key, err = encodeKey(key); err != nil {
		return Bundle{}, err
	}
	if b.Chain, err = parseChain(p.intermediates); err != nil {
		return Bundle{}, err
	}
	return b, b.describe(leaf)
}

var errPassphrase = errors.New("the passphrase does not fit the private key")

// parseKey reads the private key of a text; what is before it, such as the parameters of an elliptic curve, is left.
func parseKey(text, passphrase []byte) (any, error) {
	block := find(text, func(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") })
	if block == nil {
		return nil, errors.New("the private key is not PEM")
	}
	if !x509.IsEncryptedPEMBlock(block) { //nolint:staticcheck // old, insecure, and what users have
		return keyIn(block.Type, block.Bytes, passphrase)
	}
	der, err := x509.DecryptPEMBlock(block, passphrase) //nolint:staticcheck // see above
	if err != nil {
		return nil, errPassphrase
	}
	key, err := keyIn(block.Type, der, nil)
	if err != nil { // its padding does not always tell that it is garbage
		return nil, errPassphrase
	}
	return key, nil
}

// find is the first block of a text that is wanted; nil = there is none.
func find(text []byte, wanted func(kind string) bool) *pem.Block {
	for {
		block, rest := pem.Decode(text)
		if block == nil || wanted(block.Type) {
			return block
		}
		text = rest
	}
}

func keyIn(kind string, der, passphrase []byte) (any, error) {
	switch kind {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(der)
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(der)
	case "ENCRYPTED PRIVATE KEY":
		if err := affordable(der); err != nil {
			return nil, err
		}
		key, err := pkcs8.ParsePKCS8PrivateKey(der, passphrase)
		if err != nil {
			return nil, errPassphrase
		}
		return key, nil
	}
	return nil, fmt.Errorf("a private key of the form %q cannot be used", kind)
}

// parseChain reads intermediates: certificates in PEM one after the other, or PKCS#7.
func parseChain(text []byte) ([][]byte, error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil, nil
	}
	if !bytes.Contains(text, []byte("-----BEGIN")) {
		return fromPKCS7(text)
	}
	var chain [][]byte
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		switch block.Type {
		case typeCertificate:
			if _, err := x509.ParseCertificate(block.Bytes); err != nil {
				return nil, fmt.Errorf("an intermediate certificate: %w", err)
			}
			chain = append(chain, encode(typeCertificate, block.Bytes))
		case typePKCS7:
			more, err := fromPKCS7(block.Bytes)
			if err != nil {
				return nil, err
			}
			chain = append(chain, more...)
		}
	}
	if len(chain) == 0 {
		return nil, errors.New("the intermediates hold no certificate")
	}
	return chain, nil
}

// fromPKCS7 reads a bag of certificates.
func fromPKCS7(der []byte) ([][]byte, error) {
	bag, err := pkcs7.Parse(der)
	if err != nil || len(bag.Certificates) == 0 {
		return nil, errors.New("the intermediates are neither certificates in PEM nor PKCS#7")
	}
	var chain [][]byte
	for _, c := range bag.Certificates {
		chain = append(chain, encode(typeCertificate, c.Raw))
	}
	return chain, nil
}
