package db

import "fmt"

// NotFoundError says that no live row has this id.
type NotFoundError struct{ Resource, ID string }

func (e *NotFoundError) Error() string { return fmt.Sprintf("%s %s not found", e.Resource, e.ID) }

// DuplicateError says that a unique key is taken. Key is the index or column as far as the engine tells.
type DuplicateError struct{ Resource, Key string }

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("a %s with this %s exists", e.Resource, e.Key)
}

// UnfitError says that a value cannot be stored: the engine refuses its characters, its length
// or its range. Nothing of the transaction has been written.
type UnfitError struct{ Err error }

func (e *UnfitError) Error() string { return "a value cannot be stored: " + e.Err.Error() }

func (e *UnfitError) Unwrap() error { return e.Err }

// ImmutableError says that an object's provisioning status forbids the change.
// Resource is "loadbalancer", "pool" or "l7policy".
type ImmutableError struct {
	Resource, ID string
	Status       ProvisioningStatus
}

func (e *ImmutableError) Error() string {
	return fmt.Sprintf("%s %s is %s and cannot be changed", e.Resource, e.ID, e.Status)
}

// QuotaError says that a project's quota leaves no room. Resource is a Quota* name.
type QuotaError struct{ Resource QuotaResource }

func (e *QuotaError) Error() string { return "quota has been met for " + string(e.Resource) }

// ErrLeaseLost says that another worker holds the load balancer now; whatever was being
// written has been rolled back.
var ErrLeaseLost = fmt.Errorf("lease lost")

// ErrBusy says that a transaction lost against others for too long (deadlocks, lock waits)
// and was given up; nothing of it has been written.
var ErrBusy = fmt.Errorf("database busy")
