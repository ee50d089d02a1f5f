package conductor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// storeAgentCertificate keeps the certificate of a node's agent and returns its path. An agent that shows another one
// than before is refused: it is not the one that was booted.
func (c *Conductor) storeAgentCertificate(n *store.Node, pem string) (string, error) {
	path := filepath.Join(c.cfg.CertificatesPath, n.UUID+".crt")
	if known := n.DriverInternalInfo.String(keyAgentVerifyCA); known != "" {
		old, err := os.ReadFile(known)
		switch {
		case err == nil && strings.TrimSpace(string(old)) == strings.TrimSpace(pem):
			return known, nil
		case err == nil:
			return "", store.Errorf(store.InvalidParameterValue, `Detected change in ramdisk provided "agent_verify_ca"`)
		case !errors.Is(err, os.ErrNotExist):
			return "", fmt.Errorf("reading the agent's certificate of node %s: %w", n.UUID, err)
		}
	}
	if err := os.MkdirAll(c.cfg.CertificatesPath, 0o755); err != nil {
		return "", fmt.Errorf("storing the agent's certificate of node %s: %w", n.UUID, err)
	}
	if err := os.WriteFile(path, []byte(pem), 0o644); err != nil {
		return "", fmt.Errorf("storing the agent's certificate of node %s: %w", n.UUID, err)
	}
	return path, nil
}
