package keystone

import (
	"encoding/json"
	"testing"
)

// TestScopes: what tokens of each scope say about their caller.
func TestScopes(t *testing.T) {
	for text, want := range map[string]struct {
		project, domain, system string
		notAdminProject         bool
	}{
		`{"project": {"id": "p"}}`:                            {project: "p"},
		`{"project": {"id": "p"}, "is_admin_project": true}`:  {project: "p"},
		`{"project": {"id": "p"}, "is_admin_project": false}`: {project: "p", notAdminProject: true},
		`{"domain": {"id": "d"}}`:                             {domain: "d"},
		`{"system": {"all": true}}`:                           {system: "all"},
		`{}`:                                                  {},
	} {
		var doc tokenDoc
		if err := json.Unmarshal([]byte(`{"token": `+text+`}`), &doc); err != nil {
			t.Fatal(err)
		}
		who := doc.identity()
		if who.ProjectID != want.project || who.DomainID != want.domain || who.SystemScope != want.system ||
			who.NotAdminProject != want.notAdminProject {
			t.Errorf("%s: got %+v", text, who)
		}
	}
}
