package amphora_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCertificateFiles(t *testing.T) {
	t.Parallel()
	const dir = "/1.0/loadbalancer/" + lbID + "/certificates"
	a := newAgent(t, amphoraID, map[string]answer{
		"GET " + dir:                 ok(`{"certificates":{"a.pem":"0123"}}`),
		"GET " + dir + "/a.pem":      ok(`{"md5sum":"0123"}`),
		"GET " + dir + "/gone.pem":   {http.StatusNotFound, "application/json", `{"message":"Certificate Not Found","details":"No certificate with filename: gone.pem"}`},
		"GET " + dir + "/broken.pem": {http.StatusInternalServerError, "application/json", `{}`},
		"PUT " + dir + "/a.pem":      ok(`{"message":"OK"}`),
		"PUT " + dir + "/full.pem":   {http.StatusInternalServerError, "application/json", `{"error":"no space left"}`},
		"DELETE " + dir + "/a.pem":   ok(`{"message":"OK"}`),
	})
	d := driver(t, a, nil)
	files, err := d.CertificateFiles(t.Context(), a.target(), lbID)
	if diff := cmp.Diff(map[string]string{"a.pem": "0123"}, files); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for name, want := range map[string]string{"a.pem": "0123", "gone.pem": ""} {
		md5, ok, err := d.CertificateFile(t.Context(), a.target(), lbID, name)
		if md5 != want || ok != (want != "") || err != nil {
			t.Errorf("%s: got %s, %t, %v", name, md5, ok, err)
		}
	}
	if _, ok, err := d.CertificateFile(t.Context(), a.target(), lbID, "broken.pem"); ok || err == nil {
		t.Errorf("broken.pem: got %t, %v, want an error", ok, err)
	}
	if err := d.PutCertificateFile(t.Context(), a.target(), lbID, "a.pem", []byte("content")); err != nil || a.bodies["PUT "+dir+"/a.pem"] != "content" {
		t.Errorf("got %v, uploaded %q", err, a.bodies["PUT "+dir+"/a.pem"])
	}
	if e := agentError(t, d.PutCertificateFile(t.Context(), a.target(), lbID, "full.pem", nil)); e.Status != 500 || e.NotReady {
		t.Errorf("got %+v, want the agent's refusal", e)
	}
	for _, name := range []string{"a.pem", "gone.pem"} {
		if err := d.DeleteCertificateFile(t.Context(), a.target(), lbID, name); err != nil {
			t.Error(err)
		}
		if !slices.Contains(a.asked, "DELETE "+dir+"/"+name) {
			t.Errorf("%s: the agent was not asked", name)
		}
	}
}
