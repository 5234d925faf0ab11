package api

import (
	"github.com/ottavino/ottavino/db"
)

type amphoraOut struct {
	ID             string  `json:"id"`
	LoadBalancerID *string `json:"loadbalancer_id"`
	ComputeID      *string `json:"compute_id"`
	LBNetworkIP    *string `json:"lb_network_ip"`
	VRRPIP         *string `json:"vrrp_ip"`
	HAIP           *string `json:"ha_ip"`
	VRRPPortID     *string `json:"vrrp_port_id"`
	HAPortID       *string `json:"ha_port_id"`
	CertExpiration *stamp  `json:"cert_expiration"`
	CertBusy       bool    `json:"cert_busy"`
	Role           *string `json:"role"`
	Status         string  `json:"status"`
	VRRPInterface  *string `json:"vrrp_interface"`
	VRRPID         *int    `json:"vrrp_id"`
	VRRPPriority   *int    `json:"vrrp_priority"`
	CachedZone     *string `json:"cached_zone"`
	CreatedAt      *stamp  `json:"created_at"`
	UpdatedAt      *stamp  `json:"updated_at"`
	ImageID        *string `json:"image_id"`
	ComputeFlavor  *string `json:"compute_flavor"`
}

// amphorae are for administrators, and read only.
func (s *Server) amphorae() *resource[db.Amphora, struct{}, amphoraOut] {
	return &resource[db.Amphora, struct{}, amphoraOut]{
		s: s, kind: db.KindAmphora, singular: "amphora", plural: "amphorae", policy: "amphora",
		limit: s.adminScope("amphora"),
		columns: map[string]string{
			"id": "id", "loadbalancer_id": "load_balancer_id", "load_balancer_id": "load_balancer_id",
			"compute_id": "compute_id", "lb_network_ip": "lb_network_ip", "vrrp_ip": "vrrp_ip", "ha_ip": "ha_ip",
			"vrrp_port_id": "vrrp_port_id", "ha_port_id": "ha_port_id", "cert_expiration": "cert_expiration",
			"cert_busy": "cert_busy", "role": "role", "status": "status", "vrrp_interface": "vrrp_interface",
			"vrrp_id": "vrrp_id", "vrrp_priority": "vrrp_priority", "cached_zone": "cached_zone",
			"image_id": "image_id", "compute_flavor": "compute_flavor", "created_at": "created_at",
			"updated_at": "updated_at",
		},
		id:      func(a *db.Amphora) string { return a.ID },
		project: func(*db.Amphora) string { return "" },
		view:    each(viewAmphora),
	}
}

func viewAmphora(a *db.Amphora) amphoraOut {
	return amphoraOut{
		ID: a.ID, LoadBalancerID: a.LoadBalancerID, ComputeID: a.ComputeID, LBNetworkIP: a.LBNetworkIP,
		VRRPIP: a.VRRPIP, HAIP: a.HAIP, VRRPPortID: a.VRRPPortID, HAPortID: a.HAPortID,
		CertExpiration: stampOf(a.CertExpiration), CertBusy: a.CertBusy, Role: a.Role, Status: a.Status,
		VRRPInterface: a.VRRPInterface, VRRPID: a.VRRPID, VRRPPriority: a.VRRPPriority, CachedZone: a.CachedZone,
		CreatedAt: stampOf(a.CreatedAt), UpdatedAt: stampOf(a.UpdatedAt), ImageID: a.ImageID,
		ComputeFlavor: a.ComputeFlavor,
	}
}
