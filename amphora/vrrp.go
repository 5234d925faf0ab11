package amphora

import (
	"context"
	"net/http"
)

// UploadVRRP gives an amphora its keepalived.conf (PUT /vrrp/upload); nothing is started.
func (d *Driver) UploadVRRP(ctx context.Context, t Target, conf []byte) error {
	_, err := d.do(ctx, t, call{op: "upload keepalived configuration", method: http.MethodPut, path: "/1.0/vrrp/upload", body: conf})
	return err
}

// VRRP starts, stops or reloads keepalived (PUT /vrrp/<action>); starting one that runs reloads it.
func (d *Driver) VRRP(ctx context.Context, t Target, action string) error {
	_, err := d.do(ctx, t, call{op: action + " keepalived", method: http.MethodPut, path: "/1.0/vrrp/" + action})
	return err
}
