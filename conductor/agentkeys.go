package conductor

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"slices"

	"github.com/ironmaster/ironmaster/store"
)

// The keys of driver_internal_info that belong to a running agent and to running flows (reference/states.md §6.1).
const (
	keyAgentURL          = "agent_url"
	keyAgentToken        = "agent_secret_token"
	keyTokenPregenerated = "agent_secret_token_pregenerated"
	keyAgentVerifyCA     = "agent_verify_ca"
	keyAgentHeartbeat    = "agent_last_heartbeat"
	keyAgentStarted      = "agent_start_attempted"
)

// wipeOnPowerOff forgets what does not survive an agent's end. A token made before boot, which stands on the ramdisk's
// command line, stays, or the next agent would be refused.
func wipeOnPowerOff(n *store.Node) {
	info := n.DriverInternalInfo
	delete(info, keyAgentURL)
	if !info.Bool(keyTokenPregenerated, false) {
		delete(info, keyAgentToken)
	}
	delete(info, "agent_cached_deploy_steps")
	delete(info, "agent_cached_clean_steps")
	delete(info, keyAgentVerifyCA)
	delete(info, keyAgentStarted)
}

// wipeAgent forgets the agent altogether.
func wipeAgent(n *store.Node) {
	for _, key := range []string{keyAgentToken, keyTokenPregenerated, keyAgentURL, keyAgentVerifyCA} {
		delete(n.DriverInternalInfo, key)
	}
}

// wipeDeploy removes what a deployment kept for itself. The list of steps becomes null, not absent.
func (t *task) wipeDeploy() {
	if !t.fastTrackAble() {
		wipeAgent(t.Node)
	}
	info := t.Node.DriverInternalInfo
	info["deploy_steps"] = nil
	for _, key := range []string{"user_deploy_steps", "agent_cached_deploy_steps", "deploy_step_index",
		"deployment_reboot", "deployment_polling", "skip_current_deploy_step", "steps_validated", keyAgentStarted} {
		delete(info, key)
	}
}

// wipeClean removes what a cleaning kept for itself.
func (t *task) wipeClean() {
	if !t.fastTrackAble() {
		wipeAgent(t.Node)
	}
	info := t.Node.DriverInternalInfo
	info["clean_steps"] = nil
	for _, key := range []string{"agent_cached_clean_steps", "clean_step_index", "cleaning_reboot", "cleaning_polling",
		"cleaning_disable_ramdisk", "declarative_cleaning", "skip_current_clean_step", "steps_validated", keyAgentStarted} {
		delete(info, key)
	}
}

// wipeService removes what a servicing kept for itself, and its agent: fast track makes no sense for it.
func (t *task) wipeService() {
	wipeAgent(t.Node)
	info := t.Node.DriverInternalInfo
	info["service_steps"] = nil
	for _, key := range []string{"agent_cached_service_steps", "service_step_index", keyServiceWithoutRamdisk, "steps_validated",
		keyGivenUp, keyAgentStarted} {
		delete(info, key)
	}
	removeStepFlags(t.Node)
}

// servicing are the states of a servicing.
var servicing = []string{store.Servicing, store.ServiceWait, store.ServiceFail, store.ServiceHold}

// fastTrackAble reports whether an agent that runs already may be used instead of booting one.
func (t *task) fastTrackAble() bool {
	return t.Node.DriverInfo.Bool("fast_track", t.c.cfg.FastTrack) && t.Hardware != nil &&
		t.Hardware.Storage.ShouldWriteImage(t.Task) && t.Node.LastError == "" && !slices.Contains(servicing, t.Node.ProvisionState)
}

// newAgentToken makes a token as Python's secrets.token_urlsafe() does: 32 random bytes.
func newAgentToken() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // crypto/rand.Read never fails
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// validAgentToken compares in constant time.
func validAgentToken(n *store.Node, token string) bool {
	known := n.DriverInternalInfo.String(keyAgentToken)
	return token != "" && subtle.ConstantTimeCompare([]byte(known), []byte(token)) == 1
}
