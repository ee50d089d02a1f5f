package jsonrpc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(file, kind string, content []byte) string {
		file = filepath.Join(dir, file)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}

func TestTLS(t *testing.T) {
	certFile, keyFile := selfSigned(t, "conductor")
	clientCert, clientKey := selfSigned(t, "ironic-api")
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	text, err := os.ReadFile(certFile)
	if err != nil || !trusted.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		server TLS
		client *tls.Config
		works  bool
	}{
		"trusted":             {TLS{}, &tls.Config{RootCAs: trusted}, true},
		"not trusted":         {TLS{}, &tls.Config{}, false},
		"an old version":      {TLS{MinVersion: "1.3"}, &tls.Config{RootCAs: trusted, MaxVersion: tls.VersionTLS12}, false},
		"an older one":        {TLS{MinVersion: "1.2"}, &tls.Config{RootCAs: trusted, MaxVersion: tls.VersionTLS12}, true},
		"client's is missing": {TLS{CAFile: clientCert}, &tls.Config{RootCAs: trusted}, false},
		"client's is there":   {TLS{CAFile: clientCert}, &tls.Config{RootCAs: trusted, Certificates: []tls.Certificate{pair}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c.server.CertFile, c.server.KeyFile = certFile, keyFile
			cfg, err := c.server.Config()
			if err != nil {
				t.Fatal(err)
			}
			r := serve(t, Config{TLS: cfg}, echo)
			r.client.Transport = &http.Transport{TLSClientConfig: c.client, DisableKeepAlives: true}
			response, err := r.client.Post(strings.Replace(r.url, "http:", "https:", 1), "application/json", strings.NewReader(echoed))
			if err == nil {
				response.Body.Close()
			}
			if works := err == nil && response.StatusCode == http.StatusOK; works != c.works {
				t.Errorf("the call ended with %v", err)
			}
		})
	}
}

func TestTLSFilesThatCannotBeUsed(t *testing.T) {
	certFile, keyFile := selfSigned(t, "conductor")
	for want, files := range map[string]TLS{
		"have to be named":     {CertFile: certFile},
		"no such file":         {CertFile: certFile, KeyFile: "none"},
		"holds no certificate": {CertFile: certFile, KeyFile: keyFile, CAFile: keyFile},
	} {
		if _, err := files.Config(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", files, err, want)
		}
	}
}
