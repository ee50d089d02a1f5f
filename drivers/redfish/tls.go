package redfish

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ironmaster/ironmaster/store"
)

// Dialect says which TLS is spoken with a BMC.
type Dialect struct {
	// Minimum is the lowest version, 1.1, 1.2 or 1.3; empty is 1.2 ([redfish]tls_minimum_version).
	Minimum string
	// Ciphers is a list in OpenSSL's format that chooses among the ciphers up to TLS 1.2; empty takes Go's ([redfish]tls_ciphers).
	Ciphers string
}

// versions are the values of Dialect.Minimum.
var versions = map[string]uint16{"": tls.VersionTLS12, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// parseDialect reads which TLS a node's BMC is spoken to with. What a node says, even when it is nothing, goes before the configuration.
func parseDialect(n *store.Node, configured Dialect) (Dialect, error) {
	d := configured
	if value, given := n.DriverInfo["redfish_tls_minimum_version"]; given {
		d.Minimum = ""
		if store.PythonTrue(value) {
			d.Minimum, _ = value.(string)
			if _, known := versions[d.Minimum]; !known || d.Minimum == "" {
				return d, store.Errorf(store.InvalidParameterValue, `Invalid value "%s" set in driver_info/redfish_tls_minimum_version on `+
					`node %s. The value should be one of "1.1", "1.2", or "1.3".`, store.PythonText(value), n.UUID)
			}
		}
	}
	if value, given := n.DriverInfo["redfish_tls_ciphers"]; given {
		d.Ciphers = ""
		if store.PythonTrue(value) {
			d.Ciphers = store.PythonText(value)
		}
	}
	return d, nil
}

// TLSConfig says what certificates are trusted, and which TLS is spoken. Below TLS 1.2 nobody is served who was not told to be.
func TLSConfig(v Verify, d Dialect) (*tls.Config, error) {
	config := &tls.Config{MinVersion: versions[d.Minimum], InsecureSkipVerify: v.Off}
	if d.Ciphers != "" {
		if config.CipherSuites = chooseCiphers(d.Ciphers); len(config.CipherSuites) == 0 {
			return nil, store.Errorf(store.InvalidParameterValue, "Invalid cipher specification: driver_info/redfish_tls_ciphers, or else "+
				"[redfish]tls_ciphers, %q chooses none of the ciphers that this conductor speaks", shorten(d.Ciphers))
		}
	}
	if v.Path == "" {
		return config, nil
	}
	files := []string{v.Path}
	if info, err := os.Stat(v.Path); err == nil && info.IsDir() {
		files, err = filepath.Glob(filepath.Join(v.Path, "*"))
		if err != nil {
			return nil, unusableCA(v.Path, err)
		}
	}
	config.RootCAs = x509.NewCertPool()
	found := false
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, unusableCA(v.Path, err)
		}
		found = config.RootCAs.AppendCertsFromPEM(text) || found
	}
	if !found {
		return nil, unusableCA(v.Path, errors.New("there is no PEM certificate in it"))
	}
	return config, nil
}

func unusableCA(path string, cause error) error {
	return store.Errorf(store.InvalidParameterValue,
		"The certificates in %s (driver_info/redfish_verify_ca) cannot be used: %w", path, fmt.Errorf("%w", cause))
}
