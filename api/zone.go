package api

import (
	"context"
	"fmt"

	"github.com/ottavino/ottavino/db"
)

type zoneProfileOut struct {
	ID                   string `json:"id"`
	Name                 string `json:"name"`
	ProviderName         string `json:"provider_name"`
	AvailabilityZoneData string `json:"availability_zone_data"`
}

const zoneProfileTitle = "Availability Zone Profile"

// zoneProfiles are for administrators.
func (s *Server) zoneProfiles() *catalogue[db.AvailabilityZoneProfile, profileIn, zoneProfileOut] {
	return &catalogue[db.AvailabilityZoneProfile, profileIn, zoneProfileOut]{
		resource: resource[db.AvailabilityZoneProfile, profileIn, zoneProfileOut]{
			s: s, kind: "availabilityzoneprofile", singular: "availability_zone_profile", plural: "availability_zone_profiles",
			links: "availability_zone_profile_links", path: "/availabilityzoneprofiles", policy: "availability-zone-profile",
			postArg: "availability_zone_profile_", putArg: "availability_zone_profile_",
			limit: s.offered("availability-zone-profile"),
			columns: map[string]string{
				"id": "id", "name": "name", "provider_name": "provider_name",
				"availability_zone_data": "availability_zone_data",
			},
			id: func(p *db.AvailabilityZoneProfile) string { return p.ID },
			view: each(func(p *db.AvailabilityZoneProfile) zoneProfileOut {
				return zoneProfileOut{p.ID, p.Name, p.ProviderName, p.AvailabilityZoneData}
			}),
			decodeNew:    profileBody("availability_zone_data", true),
			decodeChange: profileBody("availability_zone_data", false),
		},
		validate: s.validateZoneProfile,
		add: func(ctx context.Context, tx *db.Tx, in *profileIn) (*db.AvailabilityZoneProfile, error) {
			p := &db.AvailabilityZoneProfile{
				ID: s.deps.NewID(), Name: in.name.value, ProviderName: in.provider.value, AvailabilityZoneData: in.data.value,
			}
			return p, db.Insert(ctx, tx, p)
		},
		edit: editZoneProfile,
		drop: func(ctx context.Context, tx *db.Tx, p *db.AvailabilityZoneProfile) error {
			return zoneProfileFree(ctx, tx, p.ID)
		},
	}
}

func (s *Server) validateZoneProfile(ctx context.Context, p *db.AvailabilityZoneProfile, in *profileIn) error {
	if err := in.nulls("availability_zone_data", p == nil); err != nil {
		return err
	}
	option, provider := "availability_zone_data", in.provider.value
	if p != nil {
		option = "flavor_data" // upstream's slip; clients may match it
		provider = in.provider.or(p.ProviderName)
		err := s.deps.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) error { return mayEditZoneProfile(ctx, tx, p.ID, in) })
		if err != nil {
			return err
		}
	}
	if !in.data.set {
		return nil
	}
	if err := checkJSON(in.data.value, option); err != nil {
		return err
	}
	return s.checkZone(ctx, provider, in.data.value)
}

// mayEditZoneProfile tests that a change leaves what a zone in use promises.
func mayEditZoneProfile(ctx context.Context, tx *db.Tx, id string, in *profileIn) error {
	if !in.data.set && !in.provider.set {
		return nil
	}
	return zoneProfileFree(ctx, tx, id)
}

func zoneProfileFree(ctx context.Context, tx *db.Tx, id string) error {
	users, err := db.Where[db.AvailabilityZone](ctx, tx, "availability_zone_profile_id = ?", id)
	if err == nil && len(users) > 0 {
		return used(zoneProfileTitle, id)
	}
	return err
}

func editZoneProfile(ctx context.Context, tx *db.Tx, p *db.AvailabilityZoneProfile, in *profileIn) ([]string, error) {
	if err := mayEditZoneProfile(ctx, tx, p.ID, in); err != nil {
		return nil, err
	}
	var e edits
	put(&e, "name", &p.Name, in.name)
	put(&e, "provider_name", &p.ProviderName, in.provider)
	put(&e, "availability_zone_data", &p.AvailabilityZoneData, in.data)
	return e.columns, nil
}

// zoneIn is the body of an availability zone.
type zoneIn struct {
	name, description field[string]
	enabled           field[bool]
	profile           field[string]
}

func decodeZone(o *object) zoneIn {
	in := zoneIn{o.text("name", 255), o.text("description", 255), o.boolean("enabled"), o.uuid("availability_zone_profile_id")}
	o.need("name")
	o.need("availability_zone_profile_id")
	o.notNull("name", "availability_zone_profile_id", "enabled")
	o.defaults(map[string]any{"enabled": true})
	return in
}

func decodeZoneChange(o *object) zoneIn {
	in := zoneIn{description: o.text("description", 255), enabled: o.boolean("enabled")}
	o.notNull("enabled")
	return in
}

type zoneOut struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Enabled     bool   `json:"enabled"`
	ProfileID   string `json:"availability_zone_profile_id"`
}

// zones are where users may want a load balancer. Their name is their key.
func (s *Server) zones() *catalogue[db.AvailabilityZone, zoneIn, zoneOut] {
	return &catalogue[db.AvailabilityZone, zoneIn, zoneOut]{
		resource: resource[db.AvailabilityZone, zoneIn, zoneOut]{
			s: s, kind: "availabilityzone", singular: "availability_zone", plural: "availability_zones",
			path: "/availabilityzones", policy: "availability-zone",
			postArg: "availability_zone_", putArg: "availability_zone_", key: "name", limit: s.offered("availability-zone"),
			columns: map[string]string{
				"name": "name", "description": "description", "enabled": "enabled",
				"availability_zone_profile_id": "availability_zone_profile_id",
			},
			id: func(z *db.AvailabilityZone) string { return z.Name },
			view: each(func(z *db.AvailabilityZone) zoneOut {
				return zoneOut{z.Name, deref(z.Description), z.Enabled, z.AvailabilityZoneProfileID}
			}),
			decodeNew: decodeZone, decodeChange: decodeZoneChange,
		},
		add:  addZone,
		edit: editZone,
		drop: func(ctx context.Context, tx *db.Tx, z *db.AvailabilityZone) error {
			free, err := tx.ReleaseZone(ctx, z.Name)
			if err == nil && !free {
				return used("Availability Zone", z.Name)
			}
			return err
		},
	}
}

func addZone(ctx context.Context, tx *db.Tx, in *zoneIn) (*db.AvailabilityZone, error) {
	switch {
	case in.name.null:
		return nil, notAnOption("None", "name")
	case in.enabled.null:
		return nil, notAnOption("None", "enabled")
	}
	if _, err := db.Live[db.AvailabilityZoneProfile](ctx, tx, in.profile.value); err != nil {
		return nil, orNotAnOption(err, in.profile, "availability_zone_profile_id")
	}
	if _, err := db.Lock[db.AvailabilityZoneProfile](ctx, tx, in.profile.value); err != nil {
		return nil, err
	}
	z := &db.AvailabilityZone{
		Name: in.name.value, Description: in.description.ptr(), Enabled: in.enabled.absentOr(true),
		AvailabilityZoneProfileID: in.profile.value,
	}
	return z, orDuplicate(db.Insert(ctx, tx, z), fmt.Sprintf("A availability zone of %s already exists.", z.Name))
}

func editZone(_ context.Context, _ *db.Tx, z *db.AvailabilityZone, in *zoneIn) ([]string, error) {
	if in.enabled.null {
		return nil, notAnOption("None", "enabled")
	}
	var e edits
	putPtr(&e, "description", &z.Description, in.description)
	put(&e, "enabled", &z.Enabled, in.enabled)
	return e.columns, nil
}
