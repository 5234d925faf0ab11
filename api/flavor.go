package api

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ottavino/ottavino/db"
)

// profileIn is the body of a flavor profile or availability zone profile.
type profileIn struct{ name, provider, data field[string] }

// profileBody decodes a profile whose data is in the attribute of this name.
func profileBody(data string, needed bool) func(*object) profileIn {
	return func(o *object) profileIn {
		in := profileIn{o.text("name", 255), o.text("provider_name", 255), o.text(data, 4096)}
		if needed {
			o.need("name")
			o.need("provider_name")
			o.need(data)
		} else {
			o.notNull("name")
		}
		o.notNull("provider_name", data)
		return in
	}
}

// nulls refuses null where upstream does. A new profile may have it for a name.
func (in *profileIn) nulls(data string, isNew bool) error {
	switch {
	case in.name.null && !isNew:
		return notAnOption("None", "name")
	case in.provider.null:
		return notAnOption("None", "provider_name")
	case in.data.null:
		return notAnOption("None", data)
	}
	return nil
}

// checkJSON tests that text is JSON.
func checkJSON(text, option string) error {
	if !json.Valid([]byte(text)) {
		return notAnOption(text, option)
	}
	return nil
}

type flavorProfileOut struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	ProviderName string `json:"provider_name"`
	FlavorData   string `json:"flavor_data"`
}

// flavorProfiles are for administrators.
func (s *Server) flavorProfiles() *catalogue[db.FlavorProfile, profileIn, flavorProfileOut] {
	return &catalogue[db.FlavorProfile, profileIn, flavorProfileOut]{
		resource: resource[db.FlavorProfile, profileIn, flavorProfileOut]{
			s: s, kind: "flavorprofile", singular: "flavorprofile", plural: "flavorprofiles", links: "flavorprofile_links",
			policy: "flavor-profile", postArg: "flavor_profile_", putArg: "flavor_profile_", limit: s.offered("flavor-profile"),
			columns: map[string]string{
				"id": "id", "name": "name", "provider_name": "provider_name", "flavor_data": "flavor_data",
			},
			id: func(p *db.FlavorProfile) string { return p.ID },
			view: each(func(p *db.FlavorProfile) flavorProfileOut {
				return flavorProfileOut{p.ID, p.Name, p.ProviderName, p.FlavorData}
			}),
			decodeNew: profileBody("flavor_data", true), decodeChange: profileBody("flavor_data", false),
		},
		validate: s.validateFlavorProfile,
		add: func(ctx context.Context, tx *db.Tx, in *profileIn) (*db.FlavorProfile, error) {
			p := &db.FlavorProfile{
				ID: s.deps.NewID(), Name: in.name.value, ProviderName: in.provider.value, FlavorData: in.data.value,
			}
			return p, db.Insert(ctx, tx, p)
		},
		edit: editFlavorProfile,
		drop: func(ctx context.Context, tx *db.Tx, p *db.FlavorProfile) error {
			return flavorProfileFree(ctx, tx, p.ID)
		},
		// Upstream words this one call in small letters.
		absent: func(id string) error { return notFound("Flavor profile", id) },
	}
}

func (s *Server) validateFlavorProfile(ctx context.Context, p *db.FlavorProfile, in *profileIn) error {
	if p == nil && in.data.null {
		return notAnOption("None", "flavor_data")
	}
	if err := in.nulls("flavor_data", p == nil); err != nil {
		return err
	}
	provider := in.provider.value
	if p != nil {
		provider = in.provider.or(p.ProviderName)
		err := s.deps.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) error { return mayEditFlavorProfile(ctx, tx, p.ID, in) })
		if err != nil {
			return err
		}
	}
	if !in.data.set {
		return nil
	}
	if err := checkJSON(in.data.value, "flavor_data"); err != nil {
		return err
	}
	return s.checkFlavor(ctx, provider, in.data.value)
}

// mayEditFlavorProfile tests that a change leaves what a flavor in use promises.
func mayEditFlavorProfile(ctx context.Context, tx *db.Tx, id string, in *profileIn) error {
	if !in.data.set && !in.provider.set {
		return nil
	}
	return flavorProfileFree(ctx, tx, id)
}

func flavorProfileFree(ctx context.Context, tx *db.Tx, id string) error {
	users, err := db.Where[db.Flavor](ctx, tx, "flavor_profile_id = ?", id)
	if err == nil && len(users) > 0 {
		return used("Flavor profile", id)
	}
	return err
}

// used is the fault for what others need as it is.
func used(title, id string) *Fault {
	return conflict(fmt.Sprintf("%s %s is in use and cannot be modified.", title, id))
}

func editFlavorProfile(ctx context.Context, tx *db.Tx, p *db.FlavorProfile, in *profileIn) ([]string, error) {
	if err := mayEditFlavorProfile(ctx, tx, p.ID, in); err != nil {
		return nil, err
	}
	var e edits
	put(&e, "name", &p.Name, in.name)
	put(&e, "provider_name", &p.ProviderName, in.provider)
	put(&e, "flavor_data", &p.FlavorData, in.data)
	return e.columns, nil
}

// flavorIn is the body of a flavor.
type flavorIn struct {
	name, description field[string]
	enabled           field[bool]
	profile           field[string]
}

func decodeFlavor(o *object) flavorIn {
	in := flavorIn{o.text("name", 255), o.text("description", 255), o.boolean("enabled"), o.uuid("flavor_profile_id")}
	o.need("name")
	o.need("flavor_profile_id")
	o.notNull("flavor_profile_id", "enabled")
	o.defaults(map[string]any{"enabled": true})
	return in
}

func decodeFlavorChange(o *object) flavorIn {
	in := flavorIn{name: o.text("name", 255), description: o.text("description", 255), enabled: o.boolean("enabled")}
	o.notNull("enabled")
	return in
}

type flavorOut struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	Description     string `json:"description"`
	Enabled         bool   `json:"enabled"`
	FlavorProfileID string `json:"flavor_profile_id"`
}

// flavors are what users choose for a load balancer.
func (s *Server) flavors() *catalogue[db.Flavor, flavorIn, flavorOut] {
	return &catalogue[db.Flavor, flavorIn, flavorOut]{
		resource: resource[db.Flavor, flavorIn, flavorOut]{
			s: s, kind: "flavor", singular: "flavor", plural: "flavors", policy: "flavor",
			postArg: "flavor_", putArg: "flavor_", limit: s.offered("flavor"),
			columns: map[string]string{
				"id": "id", "name": "name", "description": "description", "enabled": "enabled",
				"flavor_profile_id": "flavor_profile_id",
			},
			id: func(f *db.Flavor) string { return f.ID },
			view: each(func(f *db.Flavor) flavorOut {
				return flavorOut{f.ID, f.Name, deref(f.Description), f.Enabled, f.FlavorProfileID}
			}),
			decodeNew: decodeFlavor, decodeChange: decodeFlavorChange,
		},
		add:  s.addFlavor,
		edit: editFlavor,
		drop: func(ctx context.Context, tx *db.Tx, f *db.Flavor) error {
			free, err := tx.ReleaseFlavor(ctx, f.ID)
			if err == nil && !free {
				return used("Flavor", f.ID)
			}
			return err
		},
	}
}

func (s *Server) addFlavor(ctx context.Context, tx *db.Tx, in *flavorIn) (*db.Flavor, error) {
	if in.enabled.null {
		return nil, notAnOption("None", "enabled")
	}
	if _, err := db.Live[db.FlavorProfile](ctx, tx, in.profile.value); err != nil {
		return nil, orNotAnOption(err, in.profile, "flavor_profile_id")
	}
	if _, err := db.Lock[db.FlavorProfile](ctx, tx, in.profile.value); err != nil {
		return nil, err
	}
	f := &db.Flavor{
		ID: s.deps.NewID(), Name: in.name.value, Description: in.description.ptr(), Enabled: in.enabled.absentOr(true),
		FlavorProfileID: in.profile.value,
	}
	return f, orDuplicate(db.Insert(ctx, tx, f), flavorExists(f.Name))
}

// orNotAnOption replaces the absence of what an attribute names by a fault about the attribute.
func orNotAnOption(err error, f field[string], option string) error {
	if !isAbsent(err) {
		return err
	}
	if f.null {
		return notAnOption("None", option)
	}
	return notAnOption(f.value, option)
}

func flavorExists(name string) string { return fmt.Sprintf("A flavor of %s already exists.", name) }

func editFlavor(ctx context.Context, tx *db.Tx, f *db.Flavor, in *flavorIn) ([]string, error) {
	if in.enabled.null {
		return nil, notAnOption("None", "enabled")
	}
	if in.name.set {
		same, err := db.Where[db.Flavor](ctx, tx, "name = ? AND id <> ?", in.name.value, f.ID)
		if err != nil {
			return nil, err
		}
		if len(same) > 0 {
			return nil, conflict(flavorExists(in.name.value))
		}
	}
	var e edits
	put(&e, "name", &f.Name, in.name)
	putPtr(&e, "description", &f.Description, in.description)
	put(&e, "enabled", &f.Enabled, in.enabled)
	return e.columns, nil
}
