package db

// Providers that are amphorae, under the names upstream has for them. Load balancers of all
// others belong to their drivers: their rows are written, and nothing is done about them.
const (
	ProviderAmphora   = "amphora"
	ProviderOctavia   = "octavia"
	ProviderAmphoraV2 = "amphorav2"
)

// HasAmphorae says that the load balancer is realised by amphorae, and so by our workers.
// A row without a provider is from the time when there was no other.
func (lb *LoadBalancer) HasAmphorae() bool {
	if lb.Provider == nil {
		return true
	}
	switch *lb.Provider {
	case ProviderAmphora, ProviderOctavia, ProviderAmphoraV2:
		return true
	}
	return false
}
