package conductor

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// maskedToken stands for a token that was handed out before.
const maskedToken = "******"

// getNodeWithToken answers an agent's lookup. The first one gets a fresh token in clear; later ones, and those of a node
// whose token stands on its boot ISO, get a value that opens nothing.
func (c *Conductor) getNodeWithToken(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	var node *store.Node
	fresh := false
	attempts := 0
	if c.cfg.Release >= messaging.V2023_2 {
		// Newer releases do not let lookups pile up behind a node that is at work: the agent asks again by itself.
		attempts = 1
	}
	err := c.readNode(ctx, rq, a.NodeID, "generate_token", func(ctx context.Context, t *task) error {
		if t.Node.DriverInternalInfo[keyAgentToken] == nil {
			switched := t.Node.DriverInternalInfo.String(keyPowerChanged)
			err := t.upgrade(ctx, "generate_token", attempts)
			if err == nil && t.Node.DriverInternalInfo.String(keyPowerChanged) != switched {
				// The agent that asked went with the machine's last start. A token made for it would keep the one that boots now from getting any.
				err = store.Errorf(store.TemporaryFailure, "Node %s was switched while its agent waited", t.Node.UUID)
			}
			if err != nil {
				t.noteResult(momentLookup, "the agent asked who it is", "", err)
				return err
			}
		}
		info := t.Node.DriverInternalInfo
		t.noteResult(momentLookup, "the agent asked who it is", map[bool]string{true: "it gets a token",
			false: "it has its token"}[info[keyAgentToken] == nil], nil)
		if info[keyAgentToken] == nil {
			info[keyAgentToken] = newAgentToken()
			delete(info, keyTokenPregenerated)
			node, fresh = t.Node, true
			return t.save(ctx)
		}
		// Another lookup may have been quicker than the upgrade.
		info[keyAgentToken] = maskedToken
		node = t.Node
		return nil
	})
	if err == nil && fresh && c.cfg.Release >= messaging.V22_0 {
		// Newer releases answer with the node as it is without its lock.
		return c.db.Node(ctx, node.UUID)
	}
	if err != nil || fresh {
		return node, err
	}
	// ironic's object counts the masked field as changed.
	masked := c.codec.EncodeNode(node)
	masked.Changes = []string{"driver_internal_info"}
	return masked, nil
}

type heartbeatArgs struct {
	NodeID             string  `json:"node_id"`
	CallbackURL        string  `json:"callback_url"`
	AgentVersion       *string `json:"agent_version,omitempty"`
	AgentToken         *string `json:"agent_token,omitempty"`
	AgentVerifyCA      any     `json:"agent_verify_ca,omitempty"`
	AgentStatus        *string `json:"agent_status,omitempty"`
	AgentStatusMessage *string `json:"agent_status_message,omitempty"`
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// heartbeatRPC checks who calls and takes the heartbeat in the background.
func (c *Conductor) heartbeatRPC(ctx context.Context, rq oslo.Context, a heartbeatArgs) (any, error) {
	if a.AgentVersion == nil && a.AgentStatus == nil {
		return nil, store.Errorf(store.InvalidParameterValue, "Agent did not transmit a version, and a version is required. "+
			"Please update the agent being used.")
	}
	return nil, c.readNode(ctx, rq, a.NodeID, "heartbeat", func(ctx context.Context, t *task) error {
		err := t.takeHeartbeat(ctx, a)
		if err != nil {
			t.noteResult(momentHeartbeat, "refused", "", err)
		}
		return err
	})
}

// takeHeartbeat checks who calls; the rest is done once the caller was answered, but for an installer's.
func (t *task) takeHeartbeat(ctx context.Context, a heartbeatArgs) error {
	c := t.c
	if !validAgentToken(t.Node, text(a.AgentToken)) {
		return invalidAgentToken()
	}
	if c.cfg.RequireAgentTLS && a.CallbackURL != "" && !strings.HasPrefix(a.CallbackURL, "https://") {
		return store.Errorf(store.InvalidParameterValue, "TLS is required by configuration")
	}
	if holder := t.Node.Reservation; c.cfg.Release > messaging.V2025_2 && holder != "" && holder != c.cfg.Host &&
		t.Node.DriverInternalInfo[keyAgentURL] == nil {
		// Newer releases make an agent that was never heard come back in seconds.
		return store.NodeLockedBy(t.Node.UUID, holder)
	}
	h := heartbeat{callbackURL: a.CallbackURL, token: text(a.AgentToken), version: text(a.AgentVersion), status: text(a.AgentStatus),
		statusMessage: text(a.AgentStatusMessage)}
	if store.PythonTrue(a.AgentVerifyCA) {
		pem, isText := a.AgentVerifyCA.(string)
		if !isText {
			return oslo.Builtin("TypeError", "write() argument must be str, not %s", store.PythonType(a.AgentVerifyCA))
		}
		path, err := c.storeAgentCertificate(t.Node, pem)
		if err != nil {
			return err
		}
		h.verifyCA = path
	}
	if t.hearsInstaller(h) {
		return t.hear(ctx, h)
	}
	t.after(func(ctx context.Context, t *task) { t.beat(ctx, h) }, nil)
	return nil
}

func invalidAgentToken() error {
	return store.Errorf(store.InvalidParameterValue, "Invalid or missing agent token received.")
}
