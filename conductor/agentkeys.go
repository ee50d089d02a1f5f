package conductor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
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
	keyPowerChanged      = "last_power_state_change"
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

// wipeDeploy removes what a deployment kept for itself.
func (t *task) wipeDeploy(ctx context.Context) {
	if !t.fastTrackAble(ctx) {
		wipeAgent(t.Node)
	}
	wipeSteps(t.Node, drivers.DeployStep, keyUserSteps, keyGivenUp)
}

// wipeClean removes what a cleaning kept for itself.
func (t *task) wipeClean(ctx context.Context) {
	if !t.fastTrackAble(ctx) {
		wipeAgent(t.Node)
	}
	wipeSteps(t.Node, drivers.CleanStep, keyDisableRamdisk, keyDeclarative)
}

// wipeService removes what a servicing kept for itself, and its agent: fast track makes no sense for it.
func (t *task) wipeService() {
	wipeAgent(t.Node)
	wipeSteps(t.Node, drivers.ServiceStep, keyServiceWithoutRamdisk, keyGivenUp)
	removeStepFlags(t.Node)
}

// wipeSteps removes what a flow kept of its steps, and other keys. The list of the steps becomes null, not absent.
func wipeSteps(n *store.Node, kind drivers.StepKind, others ...string) {
	info := n.DriverInternalInfo
	info[string(kind)+"_steps"] = nil
	for _, key := range append(others, "agent_cached_"+string(kind)+"_steps", "steps_validated", keyAgentStarted) {
		delete(info, key)
	}
	wipePlace(n, kind)
}

// wipePlace removes where a flow stands in its steps.
func wipePlace(n *store.Node, kind drivers.StepKind) {
	delete(n.DriverInternalInfo, string(kind)+"_step_index")
	removeFlags(n, termsOf[kind])
}

// servicing are the states of a servicing.
var servicing = []string{store.Servicing, store.ServiceWait, store.ServiceFail, store.ServiceHold}

// fastTrackAble reports whether an agent that runs already may be used instead of booting one. Where that can't be found out, none is.
func (t *task) fastTrackAble(ctx context.Context) bool {
	if !t.Node.DriverInfo.Bool("fast_track", t.c.cfg.FastTrack) || t.Hardware == nil || t.Node.LastError != "" ||
		slices.Contains(servicing, t.Node.ProvisionState) {
		return false
	}
	writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t.Task)
	if err != nil {
		t.Log.Warn().Err(err).Msg("Whether the node boots from a volume is not known")
	}
	return writes && err == nil
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
