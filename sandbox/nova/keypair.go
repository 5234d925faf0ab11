package nova

import (
	"crypto/md5" //nolint:gosec // Nova's fingerprints are MD5
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"github.com/ottavino/ottavino/sandbox/rest"
)

func (n *Nova) keypairRoutes() {
	n.Handle("GET /v2.1/os-keypairs", n.listKeypairs)
	n.Handle("POST /v2.1/os-keypairs", n.createKeypair)
	n.Handle("GET /v2.1/os-keypairs/{name}", func(r *rest.Request) (int, any, error) {
		k, err := n.keypair(r)
		return http.StatusOK, rest.Doc{"keypair": k}, err
	})
	n.Handle("DELETE /v2.1/os-keypairs/{name}", func(r *rest.Request) (int, any, error) {
		k, err := n.keypair(r)
		if err == nil {
			n.keypairs.Delete(keypairID(r.UserID, k.Name))
		}
		return http.StatusNoContent, nil, err
	})
}

func keypairID(userID, name string) string { return userID + "/" + name }

// keypair finds the caller's own keypair that the path names.
func (n *Nova) keypair(r *rest.Request) (Keypair, error) {
	name := r.PathValue("name")
	k, ok := n.keypairs.Get(keypairID(r.UserID, name))
	if !ok {
		return k, rest.NotFound("Keypair %s not found for user %s", name, r.UserID)
	}
	return k, nil
}

func (n *Nova) listKeypairs(r *rest.Request) (int, any, error) {
	docs := []any{}
	for _, k := range n.keypairs.Where(func(k Keypair) bool { return k.userID == r.UserID }) {
		docs = append(docs, rest.Doc{"keypair": k})
	}
	return http.StatusOK, rest.Doc{"keypairs": docs}, nil
}

// createKeypair imports a public key. Nova could also make one, which the newest microversions refuse as this does.
func (n *Nova) createKeypair(r *rest.Request) (int, any, error) {
	var body struct {
		Keypair Keypair `json:"keypair"`
	}
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	k := Keypair{Name: body.Keypair.Name, PublicKey: body.Keypair.PublicKey, userID: r.UserID}
	if k.Name == "" {
		return 0, nil, rest.BadRequest("Invalid input for field/attribute keypair. 'name' is a required property")
	}
	var err error
	if k.Fingerprint, err = fingerprint(k.PublicKey); err != nil {
		return 0, nil, err
	}
	if _, ok := n.keypairs.Get(keypairID(r.UserID, k.Name)); ok {
		return 0, nil, rest.Conflict("", "Key pair '%s' already exists.", k.Name)
	}
	n.keypairs.Put(keypairID(r.UserID, k.Name), k)
	return http.StatusCreated, rest.Doc{"keypair": k}, nil
}

// fingerprint is the MD5 of a public key in OpenSSH's form, in pairs of digits.
func fingerprint(public string) (string, error) {
	fields := strings.Fields(public)
	if len(fields) < 2 {
		return "", rest.BadRequest("Keypair data is invalid: failed to generate fingerprint")
	}
	key, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return "", rest.BadRequest("Keypair data is invalid: failed to generate fingerprint")
	}
	digits := fmt.Sprintf("% x", md5.Sum(key)) //nolint:gosec // see the import
	return strings.ReplaceAll(digits, " ", ":"), nil
}
