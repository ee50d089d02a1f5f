package graphical

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// The keys of driver_internal_info that ironic-novncproxy reads.
const (
	keyToken   = "novnc_secret_token" //nolint:gosec // a name
	keyCreated = "novnc_secret_token_created"
	keyHost    = "vnc_host"
	keyPort    = "vnc_port"
)

// createdLayout is how a token's age is written. ironic-novncproxy reads no other.
const createdLayout = "2006-01-02T15:04:05.000000"

// authorize writes down where the console is, and a new token for it.
func (c *Console) authorize(n *store.Node, host string, port int) error {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("making a token for the console: %w", err)
	}
	if n.DriverInternalInfo == nil {
		n.DriverInternalInfo = store.Dict{}
	}
	n.DriverInternalInfo[keyHost], n.DriverInternalInfo[keyPort] = host, port
	n.DriverInternalInfo[keyToken] = base64.RawURLEncoding.EncodeToString(secret)
	n.DriverInternalInfo[keyCreated] = c.cfg.Now().UTC().Format(createdLayout)
	return nil
}

func forget(n *store.Node) {
	for _, key := range []string{keyHost, keyPort, keyToken, keyCreated} {
		delete(n.DriverInternalInfo, key)
	}
}

// Expired tells whether the node's console is open for longer than it may be. One that nobody has a token for cannot be; one
// whose token is of no known age is.
func (c *Console) Expired(n *store.Node) bool {
	if n.DriverInternalInfo.String(keyToken) == "" {
		return false
	}
	created, err := time.Parse(createdLayout, n.DriverInternalInfo.String(keyCreated))
	return err != nil || created.Add(c.cfg.TokenTimeout).Before(c.cfg.Now())
}
