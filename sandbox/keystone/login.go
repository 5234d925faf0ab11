package keystone

import (
	"net/http"
	"slices"

	"github.com/ottavino/ottavino/sandbox/rest"
)

// named is how requests name a user, project or domain: by id, or by name and domain.
type named struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain *named `json:"domain"`
}

type loginRequest struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password struct {
				User struct {
					named
					Password string `json:"password"`
				} `json:"user"`
			} `json:"password"`
			Token struct {
				ID string `json:"id"`
			} `json:"token"`
			AppCredential struct {
				named
				Secret string `json:"secret"`
				User   named  `json:"user"`
			} `json:"application_credential"`
		} `json:"identity"`
		Scope scope `json:"scope"`
	} `json:"auth"`
}

// scope is an object, or the word "unscoped".
type scope struct {
	Project *named
	Domain  *named
	System  bool
	None    bool
}

var errLogin = &rest.Error{Status: http.StatusUnauthorized, Message: "The request you have made requires authentication."}

func (k *Keystone) login(r *rest.Request) (int, any, error) {
	var body loginRequest
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	c, err := k.identify(&body)
	if err != nil {
		return 0, nil, err
	}
	if err := k.enter(&c, body.Auth.Scope); err != nil {
		return 0, nil, err
	}
	return k.issue(r, c)
}

// identify says who logs in; claims of a token or an application credential carry a scope already.
func (k *Keystone) identify(body *loginRequest) (claims, error) {
	id := &body.Auth.Identity
	c := claims{Methods: id.Methods}
	switch {
	case slices.Contains(id.Methods, "application_credential"):
		return k.appLogin(c, id.AppCredential.named, id.AppCredential.User, id.AppCredential.Secret)
	case slices.Contains(id.Methods, "password"):
		u, ok := k.findUser(id.Password.User.named)
		if !ok || !u.Enabled || u.Password.secret != id.Password.User.Password {
			return c, errLogin
		}
		c.Subject = u.ID
	case slices.Contains(id.Methods, "token"):
		old, err := k.parse(id.Token.ID)
		if err != nil {
			return c, errLogin
		}
		c.Subject, c.ProjectID, c.DomainID, c.System = old.Subject, old.ProjectID, old.DomainID, old.System
	default:
		return c, rest.BadRequest("Unknown authentication methods %v", id.Methods)
	}
	return c, nil
}

// enter applies the scope asked for; without one, the user's default project.
func (k *Keystone) enter(c *claims, s scope) error {
	if c.AppCredID != "" {
		return nil // an application credential has its project and no other
	}
	switch {
	case s.None:
		c.ProjectID, c.DomainID, c.System = "", "", ""
		return nil
	case s.Project != nil:
		p, ok := k.findProject(*s.Project)
		if !ok {
			return errLogin
		}
		c.ProjectID, c.DomainID, c.System = p.ID, "", ""
	case s.Domain != nil:
		d, ok := k.findDomain(s.Domain)
		if !ok {
			return errLogin
		}
		c.ProjectID, c.DomainID, c.System = "", d.ID, ""
	case s.System:
		c.ProjectID, c.DomainID, c.System = "", "", "all"
	case c.ProjectID == "" && c.DomainID == "" && c.System == "":
		if u, _ := k.users.Get(c.Subject); u.DefaultProjectID != "" {
			c.ProjectID = u.DefaultProjectID
			break
		}
		return nil
	}
	if len(k.scopedRoles(*c)) == 0 {
		return errLogin
	}
	return nil
}

func (k *Keystone) findUser(n named) (User, bool) {
	if n.ID != "" {
		return k.users.Get(n.ID)
	}
	d, ok := k.findDomain(n.Domain)
	return first(k.users.Where(func(u User) bool { return ok && u.Name == n.Name && u.DomainID == d.ID }))
}

func (k *Keystone) findProject(n named) (Project, bool) {
	if n.ID != "" {
		return k.projects.Get(n.ID)
	}
	d, ok := k.findDomain(n.Domain)
	return first(k.projects.Where(func(p Project) bool { return ok && p.Name == n.Name && p.DomainID == d.ID }))
}

func (k *Keystone) findDomain(n *named) (Domain, bool) {
	if n == nil {
		return Domain{}, false
	}
	return first(k.domains.Where(func(d Domain) bool { return d.ID == n.ID || n.ID == "" && d.Name == n.Name }))
}

func first[T any](list []T) (T, bool) {
	if len(list) == 0 {
		var none T
		return none, false
	}
	return list[0], true
}
