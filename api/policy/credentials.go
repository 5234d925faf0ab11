package policy

// Credentials are the facts about a caller that rules can test. What a token does not say is
// empty; rules see it as None.
type Credentials struct {
	UserID, UserDomainID       string
	ProjectID, ProjectDomainID string
	DomainID                   string // of a domain-scoped token
	SystemScope                string // all, for a system-scoped token
	Roles                      []string
	// NotAdminProject: Keystone has an admin project and the token's is another.
	NotAdminProject bool
	IsAdmin         bool // what Enforcer.IsAdmin said, or auth_strategy noauth

	// Service is who sent the request on behalf of the user, with a token of its own.
	Service ServiceCredentials
}

// ServiceCredentials are the facts of X-Service-Token.
type ServiceCredentials struct {
	UserID, UserDomainID       string
	ProjectID, ProjectDomainID string
	Roles                      []string
}

// none is how a rule sees what is not there.
const none = "None"

// fact is what a rule compares, by the name it has in rules, the old names included. Several
// values are alternatives; nil is a name that nobody knows.
func (c *Credentials) fact(name string) []string {
	switch name {
	case "roles":
		return c.Roles
	case "service_roles":
		return c.Service.Roles
	case "is_admin_project":
		return []string{python(!c.NotAdminProject)}
	}
	value := c.single(name)
	if value == nil {
		return nil
	}
	return []string{orNone(*value)}
}

func (c *Credentials) single(name string) *string {
	switch name {
	case "user_id", "user":
		return &c.UserID
	case "user_domain_id", "user_domain":
		return &c.UserDomainID
	case "project_id", "project", "tenant_id", "tenant":
		return &c.ProjectID
	case "project_domain_id", "project_domain":
		return &c.ProjectDomainID
	case "domain_id", "domain":
		return &c.DomainID
	case "system_scope", "system":
		return &c.SystemScope
	case "service_user_id":
		return &c.Service.UserID
	case "service_user_domain_id":
		return &c.Service.UserDomainID
	case "service_project_id":
		return &c.Service.ProjectID
	case "service_project_domain_id":
		return &c.Service.ProjectDomainID
	}
	return nil
}

// target is the caller as the object of a question, as the rule context_is_admin gets it.
func (c *Credentials) target() Target {
	t := Target{}
	for _, name := range []string{
		"user_id", "user", "user_domain_id", "user_domain", "project_id", "project",
		"project_domain_id", "project_domain", "domain_id", "domain", "system_scope",
	} {
		t[name] = *c.single(name)
	}
	return t
}

func orNone(value string) string {
	if value == "" {
		return none
	}
	return value
}

// python is a boolean as rules compare it.
func python(b bool) string {
	if b {
		return "True"
	}
	return "False"
}
