package agent

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
)

// listCertificates tells the files of a load balancer with their digests, which upstream's agent tells one by one and only
// to who knows their names.
func (a *Agent) listCertificates(r *http.Request, _ []byte) reply {
	id := r.PathValue("lb")
	if bad, is := badName(id); is {
		return bad
	}
	dir := filepath.Join(a.config().CertDir, id)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return refused(http.StatusInternalServerError, err.Error())
	}
	out := map[string]string{}
	for _, e := range entries {
		if !safeName.MatchString(e.Name()) { // one that is being written
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return refused(http.StatusInternalServerError, err.Error())
		}
		out[e.Name()] = md5hex(text)
	}
	return reply{status: http.StatusOK, body: map[string]any{"certificates": out}}
}
