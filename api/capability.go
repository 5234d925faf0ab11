package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// misfit tests a profile's data against what a driver knows, and words the first difference as
// upstream's JSON schema does; "" is none.
func misfit(known []capability, data json.RawMessage) string {
	var values map[string]json.RawMessage
	if isNull(data) || json.Unmarshal(data, &values) != nil {
		return pyRepr(data) + " is not of type 'object'"
	}
	left := maps.Clone(values)
	for _, k := range known {
		delete(left, k.Name)
	}
	if len(left) > 0 {
		return surplus(slices.Sorted(maps.Keys(left)))
	}
	for _, k := range known {
		raw, ok := values[k.Name]
		if !ok {
			continue
		}
		if jsonType(raw) != k.kind {
			return fmt.Sprintf("%s %s is not of type '%s'", k.Name, pyRepr(raw), k.kind)
		}
		if k.enum != nil && !slices.Contains(k.enum, pyStr(raw)) {
			return fmt.Sprintf("%s %s is not one of %s", k.Name, pyRepr(raw), pyList(k.enum))
		}
	}
	return ""
}

// surplus words attributes that are not known.
func surplus(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = pyQuote(n)
	}
	verb := "was"
	if len(names) > 1 {
		verb = "were"
	}
	return fmt.Sprintf("Additional properties are not allowed (%s %s unexpected)", strings.Join(quoted, ", "), verb)
}

// jsonType names the type of a JSON value as a JSON schema does.
func jsonType(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case '[':
		return "array"
	case '{':
		return "object"
	case 'n':
		return "null"
	}
	return "number"
}

// Cloud says whether what profiles name is there. A false answer is the administrator's
// mistake; wrap ErrUnavailable when the cloud cannot be asked.
type Cloud interface {
	HasFlavor(ctx context.Context, id string) (bool, error) // Nova's
	HasZone(ctx context.Context, name string) (bool, error) // Nova's availability zone
	HasNetwork(ctx context.Context, id string) (bool, error)
	// FindImage looks for an image with the tag; the error's text is shown to the administrator.
	FindImage(ctx context.Context, tag string) error
}

// checkFlavor tests the data of a flavor profile: first its form, then, for amphorae, that the
// cloud has what it names.
func (s *Server) checkFlavor(ctx context.Context, provider, data string) error {
	d, err := s.cfg.driver(provider)
	if err != nil || d.noop {
		return err
	}
	if text := misfit(d.flavor, json.RawMessage(strings.TrimSpace(data))); text != "" {
		return unsupportedOption(provider, text)
	}
	var named struct {
		Flavor string `json:"compute_flavor"`
		Tag    string `json:"amp_image_tag"`
	}
	if err := json.Unmarshal([]byte(data), &named); err != nil {
		return err
	}
	err = s.mustHave(ctx, provider, named.Flavor, s.deps.Cloud.HasFlavor, "Nova flavor %s not found.")
	if err != nil || named.Tag == "" {
		return err
	}
	if err := s.deps.Cloud.FindImage(ctx, named.Tag); err != nil {
		return providerFailed(provider, fmt.Sprintf("Failed to find an image with tag %s due to: %s", named.Tag, err))
	}
	return nil
}

// checkZone is checkFlavor for the data of an availability zone profile.
func (s *Server) checkZone(ctx context.Context, provider, data string) error {
	d, err := s.cfg.driver(provider)
	if err != nil || d.noop {
		return err
	}
	if text := misfit(d.zone, json.RawMessage(strings.TrimSpace(data))); text != "" {
		return unsupportedOption(provider, text)
	}
	var named struct {
		Zone     string            `json:"compute_zone"`
		Network  string            `json:"management_network"`
		Networks []json.RawMessage `json:"valid_vip_networks"`
	}
	if err := json.Unmarshal([]byte(data), &named); err != nil {
		return err
	}
	err = s.mustHave(ctx, provider, named.Zone, s.deps.Cloud.HasZone, "Nova availability zone %s not found.")
	if err != nil {
		return err
	}
	networks := []string{named.Network}
	for _, raw := range named.Networks {
		networks = append(networks, pyStr(raw))
	}
	for _, id := range networks {
		if err := s.mustHave(ctx, provider, id, s.deps.Cloud.HasNetwork, "network not found (network Id: %s)."); err != nil {
			return err
		}
	}
	return nil
}

// mustHave makes the absence of something named a fault; "" names nothing.
func (s *Server) mustHave(
	ctx context.Context, provider, name string, has func(context.Context, string) (bool, error), text string,
) error {
	if name == "" {
		return nil
	}
	ok, err := has(ctx, name)
	if err != nil {
		return fmt.Errorf("ask the cloud for %s: %w", name, err)
	}
	if !ok {
		return providerFailed(provider, fmt.Sprintf(text, name))
	}
	return nil
}
