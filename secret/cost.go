package secret

import (
	"encoding/asn1"
	"errors"
)

// Bounds of the work that decrypting may take. Files say themselves how much it is, anybody can write them, and whoever reads them
// can do nothing else meanwhile. The programs that make such files ask for some thousands of iterations, the most cautious for 600 000.
const (
	maxIterations   = 5_000_000
	maxScryptBlocks = 1 << 20 // of 128 bytes
)

var errCostly = errors.New("it asks for too much work to decrypt it")

var oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}

// affordable looks for what a file in DER says about work, as far as that is not encrypted itself: each algorithm has a salt,
// an octet string, and behind it the number of iterations.
func affordable(der []byte) error {
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return nil //nolint:nilerr // it is no DER: whoever parses it will say so
		}
		der = rest
		if v.Class != asn1.ClassUniversal && !v.IsCompound {
			continue
		}
		if v.IsCompound && (affordable(v.Bytes) != nil || costly(v.Bytes)) || v.Tag == asn1.TagOctetString && affordable(v.Bytes) != nil {
			return errCostly
		}
	}
	return nil
}

// costly looks at the members of a sequence.
func costly(members []byte) bool {
	var salted, scrypt bool
	for len(members) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(members, &v)
		if err != nil {
			return false
		}
		members = rest
		var oid asn1.ObjectIdentifier
		_, notOID := asn1.Unmarshal(v.FullBytes, &oid)
		switch {
		case notOID == nil:
			scrypt = oid.Equal(oidScrypt)
		case scrypt && v.IsCompound:
			return scryptBlocks(v.Bytes) > maxScryptBlocks
		case salted && number(v) > maxIterations:
			return true
		}
		salted = v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString
	}
	return false
}

// number is a large one for what does not fit, and 0 for what is none.
func number(v asn1.RawValue) int64 {
	if v.Class != asn1.ClassUniversal || v.Tag != asn1.TagInteger {
		return 0
	}
	var n int64
	if _, err := asn1.Unmarshal(v.FullBytes, &n); err != nil {
		return 1 << 62
	}
	return n
}

// scryptBlocks is how much memory scrypt's parameters ask for.
func scryptBlocks(parameters []byte) int64 {
	blocks := int64(1)
	for len(parameters) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(parameters, &v)
		if err != nil {
			break
		}
		parameters = rest
		if n := number(v); n > 0 {
			blocks *= min(n, maxScryptBlocks+1)
		}
		blocks = min(blocks, maxScryptBlocks+1)
	}
	return blocks
}
