package agent

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// transport builds the transport for one exchange with a node's agent. How its certificate is verified says, in this
// order, what the agent's heartbeat brought (a path by now), driver_info.agent_verify_ca, and the configuration.
func (c client) transport(n *store.Node) (*http.Transport, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	path, err := c.verification(n, conf)
	if err != nil {
		return nil, err
	}
	if path != "" {
		if conf.RootCAs, err = loadCertificates(path); err != nil {
			return nil, err
		}
	}
	return &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true, TLSHandshakeTimeout: c.cfg.CommandTimeout}, nil
}

// verification returns the path of the certificates to trust; "" stands for the system's, or for no verification when
// conf says so.
func (c client) verification(n *store.Node, conf *tls.Config) (path string, err error) {
	value := n.DriverInternalInfo["agent_verify_ca"]
	if value == nil {
		value = n.DriverInfo["agent_verify_ca"]
	}
	if value == nil {
		value = c.cfg.VerifyCA
	}
	text := store.Dict{"v": value}.String("v")
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "1", "t", "true", "on", "y", "yes":
		return "", nil
	case "0", "f", "false", "off", "n", "no":
		conf.InsecureSkipVerify = true
		return "", nil
	}
	if _, err := os.Stat(text); err != nil {
		return "", store.Errorf(store.InvalidParameterValue, "Agent CA %s is neither a path nor a boolean", text)
	}
	return text, nil
}

// loadCertificates reads a PEM file, or every file of a directory.
func loadCertificates(path string) (*x509.CertPool, error) {
	pool, found := x509.NewCertPool(), false
	err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		if err == nil {
			found = pool.AppendCertsFromPEM(text) || found
		}
		return err
	})
	if err == nil && !found {
		err = errors.New("no certificate in it")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the agent CA %s: %w", path, err)
	}
	return pool, nil
}
