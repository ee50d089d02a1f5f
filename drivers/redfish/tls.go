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

// TLSConfig says what certificates are trusted. BMCs speak old dialects, but below TLS 1.2 nobody is served.
func TLSConfig(v Verify) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: v.Off}
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
