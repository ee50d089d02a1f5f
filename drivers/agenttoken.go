package drivers

import (
	"context"
	"crypto/rand"
	"encoding/base64"

	"github.com/ironmaster/ironmaster/store"
)

// The keys of driver_internal_info that tell ironic-api about the agent's token, and that it was made before the agent asked.
const (
	KeyAgentToken        = "agent_secret_token"
	KeyTokenPregenerated = "agent_secret_token_pregenerated"
)

// PregenerateAgentToken returns the secret that an agent or installer proves itself with, and saves it with the node: it is where its
// machine boots from and in the database, nowhere else. A token made earlier for the same flow goes on being good.
func PregenerateAgentToken(ctx context.Context, t *Task) (string, error) {
	info := t.Node.DriverInternalInfo
	if info == nil {
		info = store.Dict{}
		t.Node.DriverInternalInfo = info
	}
	token := info.String(KeyAgentToken)
	if token != "" && info.Bool(KeyTokenPregenerated, false) {
		return token, nil
	}
	if token == "" {
		var raw [32]byte
		_, _ = rand.Read(raw[:]) // crypto/rand.Read never fails
		token = base64.RawURLEncoding.EncodeToString(raw[:])
	}
	info[KeyAgentToken], info[KeyTokenPregenerated] = token, true
	return token, t.Worker.Save(ctx, t)
}
