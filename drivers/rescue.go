package drivers

import (
	"cmp"

	"github.com/ironmaster/ironmaster/store"
)

// The keys of instance_info that hold a rescue's password, as it was given and as its user's shadow file takes it, for as long
// as the agent has to be told.
const (
	KeyRescuePassword       = "rescue_password"
	KeyHashedRescuePassword = "hashed_rescue_password"
)

// ForgetRescuePassword takes the password of a rescue out of the row, which the caller saves.
func ForgetRescuePassword(n *store.Node) {
	delete(n.InstanceInfo, KeyRescuePassword)
	delete(n.InstanceInfo, KeyHashedRescuePassword)
}

// RescueFailure is what users read of a rescue that came to nothing. A %w in the format keeps its error as the cause.
func RescueFailure(n *store.Node, format string, args ...any) error {
	return store.Errorf(store.InstanceRescueFailure, "Failed to rescue instance %s for node %s: "+format,
		append([]any{cmp.Or(n.InstanceUUID, "None"), n.UUID}, args...)...)
}

// UnrescueFailure is what users read when an instance can't be brought back.
func UnrescueFailure(n *store.Node, format string, args ...any) error {
	return store.Errorf(store.InstanceUnrescueFailure, "Failed to unrescue instance %s for node %s: "+format,
		append([]any{cmp.Or(n.InstanceUUID, "None"), n.UUID}, args...)...)
}

// RescueMode tells that a ramdisk which the node boots now is one for a rescue.
func RescueMode(n *store.Node) bool {
	switch n.ProvisionState {
	case store.Rescuing, store.RescueWait, store.RescueFail, store.Unrescuing, store.UnrescueFail:
		return true
	}
	return false
}
