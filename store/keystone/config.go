// Package keystone logs in to OpenStack's identity service, for whoever talks to another of its services, and tells about
// the tokens of others.
package keystone

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// AuthType names how a service is spoken to. The values are those of the option auth_type.
type AuthType string

// The ways to authenticate.
const (
	AuthPassword              AuthType = "password"
	AuthV3Password            AuthType = "v3password"
	AuthApplicationCredential AuthType = "v3applicationcredential"
	AuthToken                 AuthType = "token"
	AuthV3Token               AuthType = "v3token"
	AuthHTTPBasic             AuthType = "http_basic"
	AuthNone                  AuthType = "none"
)

// Config is what each group of ironic.conf has that names a service: keystoneauth's auth and session options.
type Config struct {
	// Group is the group's name, for errors.
	Group    string
	AuthType AuthType
	// AuthURL is Keystone's URL, with or without /v3.
	AuthURL string

	Username, UserID                   string
	Password                           string
	UserDomainName, UserDomainID       string
	ProjectName, ProjectID             string
	ProjectDomainName, ProjectDomainID string
	DomainName, DomainID               string
	SystemScope                        bool
	TrustID                            string
	ApplicationCredentialID            string
	ApplicationCredentialName          string
	ApplicationCredentialSecret        string
	Token                              string
	DefaultDomainName, DefaultDomainID string

	TLS
	// Timeout bounds connecting and each wait for bytes, not a whole transfer.
	Timeout time.Duration
}

// TLS says whom to trust, and who we are. KeyFile may be in CertFile.
type TLS struct {
	CAFile, CertFile, KeyFile string
	Insecure                  bool
}

// Kinds of failures that ironic shows its users.
const (
	KindUnauthorized    store.Kind = "KeystoneUnauthorized"
	KindFailure         store.Kind = "KeystoneFailure"
	KindCatalogNotFound store.Kind = "CatalogNotFound"
)

// NewTransport builds a transport that hands over the bytes as they are: gzip sent as Content-Encoding would change them.
func NewTransport(timeout time.Duration, opts TLS) (*http.Transport, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: opts.Insecure} //nolint:gosec // the operator asked for it
	if opts.CAFile != "" {
		pem, err := os.ReadFile(opts.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the CA bundle: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the CA bundle %s holds no certificate", opts.CAFile)
		}
	}
	if opts.CertFile != "" {
		keyFile := opts.KeyFile
		if keyFile == "" {
			keyFile = opts.CertFile
		}
		pair, err := tls.LoadX509KeyPair(opts.CertFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: timeout}).DialContext,
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   timeout,
		ResponseHeaderTimeout: timeout,
		IdleConnTimeout:       30 * time.Second,
		DisableCompression:    true,
		ForceAttemptHTTP2:     true,
	}, nil
}
