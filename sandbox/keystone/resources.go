package keystone

import (
	"net/http"
	"slices"

	"github.com/ottavino/ottavino/sandbox/rest"
)

// kind describes one of Keystone's plain resources.
func kind[T any](plural, singular string, items *rest.Collection[T], id func(*T) *string, fresh T) *rest.Resource[T] {
	return &rest.Resource[T]{
		Path: "/v3/" + plural, Plural: plural, Singular: singular, Items: items, ID: id, Patch: true, Links: true,
		Default: func(*rest.Request) T { return fresh },
		Create: func(r *rest.Request, v *T) error {
			*id(v) = hexID()
			return adminOnly(r)
		},
		Update: func(r *rest.Request, _ T, _ *T) error { return adminOnly(r) },
		Delete: func(r *rest.Request, _ T) error { return adminOnly(r) },
	}
}

func adminOnly(r *rest.Request) error {
	if !r.Admin() {
		return rest.Forbidden("You are not authorized to perform the requested action.")
	}
	return nil
}

func (k *Keystone) resources() {
	rest.Mount(k.Service, kind("domains", "domain", k.domains, func(v *Domain) *string { return &v.ID }, Domain{Enabled: true}))
	rest.Mount(k.Service, kind("roles", "role", k.roles, func(v *Role) *string { return &v.ID }, Role{}))
	rest.Mount(k.Service, kind("services", "service", k.services, func(v *Service) *string { return &v.ID }, Service{Enabled: true}))
	rest.Mount(k.Service, kind("groups", "group", k.groups, func(v *Group) *string { return &v.ID }, Group{}))
	rest.Mount(k.Service, kind("regions", "region", k.regions, func(v *Region) *string { return &v.ID }, Region{}))
	endpoints := kind("endpoints", "endpoint", k.endpoints, func(v *Endpoint) *string { return &v.ID }, Endpoint{Enabled: true})
	endpoints.Create = func(r *rest.Request, e *Endpoint) error {
		e.ID, e.Region = hexID(), e.RegionID
		return adminOnly(r)
	}
	rest.Mount(k.Service, endpoints)

	projects := kind("projects", "project", k.projects, func(v *Project) *string { return &v.ID },
		Project{DomainID: DomainID, ParentID: DomainID, Enabled: true, Tags: []string{}})
	// A user may read their own project, which is how clients turn its name into an id.
	projects.Visible = func(r *rest.Request, p Project) bool {
		return r.Admin() || p.ID == r.ProjectID || len(k.rolesOf(r.UserID, p.ID, "")) > 0
	}
	rest.Mount(k.Service, projects)

	users := kind("users", "user", k.users, func(v *User) *string { return &v.ID }, User{DomainID: DomainID, Enabled: true})
	users.Visible = func(r *rest.Request, u User) bool { return r.Admin() || u.ID == r.UserID }
	users.Update = func(r *rest.Request, old User, u *User) error {
		if u.Password.secret == "" {
			u.Password = old.Password
		}
		return adminOnly(r)
	}
	rest.Mount(k.Service, users)
	app := k.appCredentials()
	create := app.Create
	app.Create = nil
	rest.Mount(k.Service, app)
	app.Create = create
	k.Handle("POST "+app.Path, k.createAppCredential(app))
}

func (k *Keystone) assignments() {
	k.Handle("GET /v3/users/{user}/projects", func(r *rest.Request) (int, any, error) {
		return http.StatusOK, rest.Doc{"projects": k.projectsOf(r.PathValue("user"))}, nil
	})
	k.Handle("GET /v3/role_assignments", k.listAssignments)
	for _, at := range []string{"/v3/projects/{project}", "/v3/domains/{domain}", "/v3/system"} {
		roles := at + "/users/{user}/roles"
		k.Handle("GET "+roles, func(r *rest.Request) (int, any, error) {
			return http.StatusOK, rest.Doc{"roles": k.rolesOf(r.PathValue("user"), r.PathValue("project"), r.PathValue("domain"))}, nil
		})
		k.Handle("GET "+roles+"/{role}", k.changeAssignment)
		k.Handle("PUT "+roles+"/{role}", k.changeAssignment)
		k.Handle("DELETE "+roles+"/{role}", k.changeAssignment)
	}
}

// changeAssignment checks (GET), grants (PUT) or takes (DELETE) one role.
func (k *Keystone) changeAssignment(r *rest.Request) (int, any, error) {
	a := Assignment{r.PathValue("user"), r.PathValue("role"), r.PathValue("project"), r.PathValue("domain")}
	if err := adminOnly(r); err != nil {
		return 0, nil, err
	}
	held := slices.Contains(k.assigned, a)
	switch {
	case r.Method == http.MethodPut && !held:
		if _, ok := k.roles.Get(a.RoleID); !ok {
			return 0, nil, rest.NotFound("Could not find role: %s.", a.RoleID)
		}
		k.assigned = append(k.assigned, a)
	case r.Method != http.MethodPut && !held:
		return 0, nil, rest.NotFound("Could not find role assignment with role: %s.", a.RoleID)
	case r.Method == http.MethodDelete:
		k.assigned = slices.DeleteFunc(k.assigned, func(b Assignment) bool { return a == b })
	}
	return http.StatusNoContent, nil, nil
}

func (k *Keystone) listAssignments(r *rest.Request) (int, any, error) {
	q := r.URL.Query()
	out := []rest.Doc{}
	for _, a := range k.assigned {
		if u := q.Get("user.id"); u != "" && u != a.UserID {
			continue
		}
		if p := q.Get("scope.project.id"); p != "" && p != a.ProjectID {
			continue
		}
		where := rest.Doc{"system": rest.Doc{"all": true}}
		switch {
		case a.ProjectID != "":
			where = rest.Doc{"project": rest.Doc{"id": a.ProjectID}}
		case a.DomainID != "":
			where = rest.Doc{"domain": rest.Doc{"id": a.DomainID}}
		}
		out = append(out, rest.Doc{"role": rest.Doc{"id": a.RoleID}, "user": rest.Doc{"id": a.UserID}, "scope": where})
	}
	return http.StatusOK, rest.Doc{"role_assignments": out, "links": rest.Doc{"self": r.URL.Path, "next": nil}}, adminOnly(r)
}

func (k *Keystone) projectsOf(userID string) []Project {
	projects := k.projects.Where(func(p Project) bool { return len(k.rolesOf(userID, p.ID, "")) > 0 })
	return slices.Concat([]Project{}, projects)
}

func (k *Keystone) myProjects(r *rest.Request) (int, any, error) {
	return http.StatusOK, rest.Doc{"projects": k.projectsOf(r.UserID)}, nil
}

func (k *Keystone) myDomains(r *rest.Request) (int, any, error) {
	domains := k.domains.Where(func(d Domain) bool { return len(k.rolesOf(r.UserID, "", d.ID)) > 0 })
	return http.StatusOK, rest.Doc{"domains": slices.Concat([]Domain{}, domains)}, nil
}
