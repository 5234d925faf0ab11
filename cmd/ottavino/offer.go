package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/cloud"
)

// offer tells the API what the cloud has of what flavors and availability zones name.
type offer struct {
	drivers
	imageOwner string
}

var _ api.Cloud = offer{}

// HasFlavor implements api.Cloud.
func (o offer) HasFlavor(ctx context.Context, id string) (bool, error) {
	ok, err := o.compute.HasFlavor(ctx, id)
	return ok, unavailable(err)
}

// HasZone implements api.Cloud.
func (o offer) HasZone(ctx context.Context, name string) (bool, error) {
	ok, err := o.compute.HasZone(ctx, name)
	return ok, unavailable(err)
}

// HasNetwork implements api.Cloud.
func (o offer) HasNetwork(ctx context.Context, id string) (bool, error) {
	_, err := o.network.Network(ctx, id)
	if cloud.IsGone(err) {
		return false, nil
	}
	return err == nil, unavailable(err)
}

// FindImage implements api.Cloud.
func (o offer) FindImage(ctx context.Context, tag string) error {
	_, err := o.images.NewestImage(ctx, tag, o.imageOwner)
	var said *cloud.Error
	if errors.As(err, &said) { // without what else is known of the call
		return errors.New(cmp.Or(said.Message, said.Error()))
	}
	return err
}

// unavailable makes any failure of the cloud one that the API's caller may try again.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
}
