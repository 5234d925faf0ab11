package config

import "time"

// Auth is how a group logs in to Keystone (keystoneauth's options) and how it then talks.
type Auth struct {
	AuthURL                     string        `opt:"auth_url"`                          // Keystone's URL.
	AuthType                    string        `opt:"auth_type" old:"auth_plugin"`       // password, v3password or v3applicationcredential. Not set: password.
	Username                    string        `opt:"username" old:"user_name"`          // User, with one of the user_domain_ options.
	UserID                      string        `opt:"user_id"`                           // User, instead of username.
	Password                    Secret        `opt:"password"`                          // The user's password.
	UserDomainName              string        `opt:"user_domain_name"`                  // Domain of username.
	UserDomainID                string        `opt:"user_domain_id"`                    // The same by id.
	ProjectName                 string        `opt:"project_name" old:"tenant_name"`    // Project to work in, with one of the project_domain_ options.
	ProjectID                   string        `opt:"project_id" old:"tenant_id"`        // Project, instead of project_name.
	ProjectDomainName           string        `opt:"project_domain_name"`               // Domain of project_name.
	ProjectDomainID             string        `opt:"project_domain_id"`                 // The same by id.
	DefaultDomainName           string        `opt:"default_domain_name"`               // Domain of user and project where neither has one.
	DefaultDomainID             string        `opt:"default_domain_id"`                 // The same by id.
	ApplicationCredentialID     string        `opt:"application_credential_id"`         // Application credential, instead of user and project.
	ApplicationCredentialName   string        `opt:"application_credential_name"`       // The same by name, with a user.
	ApplicationCredentialSecret Secret        `opt:"application_credential_secret"`     // Its secret.
	SystemScope                 string        `opt:"system_scope"`                      // all = a token for the whole system, instead of a project.
	CAFile                      string        `opt:"cafile" old:"ca_certificates_file"` // CA bundle of the endpoints.
	CertFile                    string        `opt:"certfile"`                          // Client certificate.
	KeyFile                     string        `opt:"keyfile"`                           // Its key.
	Insecure                    bool          `opt:"insecure"`                          // Do not check the endpoints' certificates.
	Timeout                     time.Duration `opt:"timeout"`                           // Longest time of one call. Not set: 60 s.
	RegionName                  string        `opt:"region_name"`                       // Region of the catalogue.
	ValidInterfaces             []string      `opt:"valid_interfaces" old:"interface"`  // Interfaces of the catalogue, the first wins: public, internal, admin.
	ServiceName                 string        `opt:"service_name"`                      // Name of the service in the catalogue.
	ServiceType                 string        `opt:"service_type"`                      // Type of the service in the catalogue.
	EndpointOverride            string        `opt:"endpoint_override" old:"endpoint"`  // URL to use instead of the catalogue's.
}

// KeystoneAuthtoken is [keystone_authtoken]: how tokens of API requests are validated.
type KeystoneAuthtoken struct {
	Auth

	WWWAuthenticateURI        string        `opt:"www_authenticate_uri" old:"auth_uri"`   // Public URL of Keystone, shown with a 401.
	JWSPublicKeyRepository    []string      `opt:"jws_public_key_repository"`             // Files or directories of the public keys of Keystone's JWS tokens (its [jwt_tokens] option of this name): bad tokens are refused without asking it. Not set: Keystone is asked about all.
	TokenCacheTime            time.Duration `opt:"token_cache_time" default:"300"`        // How long a validated token is believed.
	ServiceTokenRoles         []string      `opt:"service_token_roles" default:"service"` // Roles that make a token a service token.
	ServiceTokenRolesRequired bool          `opt:"service_token_roles_required"`          // Whether a service token must have one of them.
}

// ServiceAuth is [service_auth]: who we are to Nova, Glance and Barbican.
type ServiceAuth struct {
	Auth
}

// Neutron is [neutron]. What it does not set is taken from [service_auth] when its own
// credentials are not complete; auth_type always is.
type Neutron struct {
	Auth

	EndpointType string `opt:"endpoint_type"` // Deprecated: publicURL is valid_interfaces = public.
}

// CatalogueEntry selects a service's endpoint.
type CatalogueEntry struct {
	ServiceName        string `opt:"service_name"`                      // Name of the service in the catalogue. Not set: any.
	Endpoint           string `opt:"endpoint"`                          // URL to use instead of the catalogue's.
	RegionName         string `opt:"region_name"`                       // Region of the catalogue. Not set: any.
	EndpointType       string `opt:"endpoint_type" default:"publicURL"` // Interface of the catalogue: publicURL, internalURL or adminURL.
	CACertificatesFile string `opt:"ca_certificates_file"`              // CA bundle of the endpoint.
	Insecure           bool   `opt:"insecure"`                          // Do not check the endpoint's certificate.
}

// Nova is [nova].
type Nova struct {
	CatalogueEntry

	EnableAntiAffinity      bool   `opt:"enable_anti_affinity"`                                                                    // Make a server group per ACTIVE_STANDBY load balancer.
	AntiAffinityPolicy      string `opt:"anti_affinity_policy" default:"anti-affinity" choices:"anti-affinity|soft-anti-affinity"` // Its policy.
	RandomAmphoraNameLength int    `opt:"random_amphora_name_length" min:"0"`                                                      // Length of servers' names when they shall not tell the amphora's id; 0 = they tell it.
	AvailabilityZone        string `opt:"availability_zone"`                                                                       // Zone of amphorae. Not set: Nova chooses.
}

// Glance is [glance].
type Glance struct {
	CatalogueEntry
}

// Certificates is [certificates].
type Certificates struct {
	CatalogueEntry

	CertManager              string        `opt:"cert_manager" default:"barbican_cert_manager" choices:"barbican_cert_manager|local_cert_manager|castellan_cert_manager|noop_cert_manager"` // Where users' certificates are kept.
	CertGenerator            string        `opt:"cert_generator" default:"local_cert_generator" choices:"local_cert_generator"`                                                             // Who issues amphorae's certificates.
	BarbicanAuth             string        `opt:"barbican_auth" default:"barbican_acl_auth" choices:"barbican_acl_auth"`                                                                    // How Barbican's secrets are reached.
	CACertificate            string        `opt:"ca_certificate" default:"/etc/ssl/certs/ssl-cert-snakeoil.pem" env:"OS_OCTAVIA_TLS_CA_CERT"`                                               // Certificate of the CA that signs amphorae's certificates.
	CAPrivateKey             string        `opt:"ca_private_key" default:"/etc/ssl/private/ssl-cert-snakeoil.key" env:"OS_OCTAVIA_TLS_CA_KEY"`                                              // Its key.
	CAPrivateKeyPassphrase   Secret        `opt:"ca_private_key_passphrase" env:"OS_OCTAVIA_CA_KEY_PASS"`                                                                                   // The key's passphrase.
	ServerCertsKeyPassphrase []Secret      `opt:"server_certs_key_passphrase" default:"insecure-key-do-not-use-this-key" env:"TLS_PASS_AMPS_DEFAULT" form:"fernet"`                         // Keys of 32 characters for stored server certificates: the first encrypts, all decrypt.
	SigningDigest            string        `opt:"signing_digest" default:"sha256" env:"OS_OCTAVIA_CA_SIGNING_DIGEST"`                                                                       // Digest of signatures.
	CertValidityTime         time.Duration `opt:"cert_validity_time" default:"2592000"`                                                                                                     // Lifetime of amphorae's certificates.
	SecretCheckInterval      time.Duration `opt:"secret_check_interval" default:"300" min:"1"`                                                                                              // Ottavino's own: mean time between looks at what references to users' certificates lead to.
	StoragePath              string        `opt:"storage_path" default:"/var/lib/octavia/certificates/" env:"OS_OCTAVIA_TLS_STORAGE"`                                                       // Directory of local_cert_manager.
}

// KeyManager is [key_manager], Castellan's, for castellan_cert_manager.
type KeyManager struct {
	Backend string `opt:"backend" old:"api_class" default:"barbican"` // Where Castellan keeps secrets; only barbican is supported.
}
