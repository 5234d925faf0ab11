package cloud

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
)

// identity is Keystone's type in the catalogue.
const identity = "identity"

// Endpoint selects one service's URL.
type Endpoint struct {
	Type     string // catalogue type: compute, network, image
	Name     string // catalogue name; "" = any
	Region   string // "" = any
	Override string // full URL; "" = from the catalogue
	// Interface is public, internal or admin; upstream's publicURL is accepted. "" = public.
	Interface string
	CAFile    string
	Insecure  bool
}

// find returns the first URL of the catalogue that fits.
func (e Endpoint) find(catalogue []tokens.CatalogEntry) (string, error) {
	face := cmp.Or(strings.TrimSuffix(e.Interface, "URL"), "public")
	for _, service := range catalogue {
		if service.Type != e.Type || e.Name != "" && service.Name != e.Name {
			continue
		}
		for _, ep := range service.Endpoints {
			if ep.Interface == face && (e.Region == "" || ep.Region == e.Region || ep.RegionID == e.Region) {
				return ep.URL, nil
			}
		}
	}
	return "", fmt.Errorf("the catalogue has no %s endpoint of service %q, name %q, region %q", face, e.Type, e.Name, e.Region)
}

// versions are what we speak, for the catalogues whose URLs do not say.
var versions = map[string]string{identity: "v3", "compute": "v2.1", "network": "v2.0", "image": "v2", "key-manager": "v1"}

// versioned finds a version in a URL; Nova's may be followed by the project.
var versioned = regexp.MustCompile(`/v[0-9]+(\.[0-9]+)?(/|$)`)

// withVersion ends the URL of a service in the version we speak and a slash.
func withVersion(service, url string) string {
	url = strings.TrimRight(url, "/")
	if service == identity { // auth_url is often written with the version of old
		url = strings.TrimSuffix(strings.TrimSuffix(url, "/v2.0"), "/v3")
	}
	_, path, _ := strings.Cut(url, "://")
	if v := versions[service]; v != "" && !versioned.MatchString(path) {
		url += "/" + v
	}
	return url + "/"
}
