package rabbit

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
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	cert, key := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}, nil)
	file := filepath.Join(t.TempDir(), name+".pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return authority{cert, key, file}
}

// issue signs a certificate, by itself without an authority.
func issue(t *testing.T, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// The server's certificate is verified as oslo.messaging verifies it.
func TestTLSVerification(t *testing.T) {
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	cert, key := issue(t, &x509.Certificate{DNSNames: []string{"rabbit.example"}}, &ours)
	server := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
	for _, tc := range []struct {
		name    string
		options Options
		host    string
		ok      bool
	}{
		{"no CA: anything goes", Options{}, "x", true},
		{"right CA, any name", Options{CAFile: ours.file}, "x", true},
		{"wrong CA", Options{CAFile: others.file}, "rabbit.example", false},
		{"right CA and name", Options{CAFile: ours.file, VerifyHostname: true}, "rabbit.example", true},
		{"right CA, wrong name", Options{CAFile: ours.file, VerifyHostname: true}, "x", false},
		{"wrong CA, right name", Options{CAFile: others.file, VerifyHostname: true}, "rabbit.example", false},
		{"version 1.3", Options{CAFile: ours.file, TLSVersion: "TLSv1_3"}, "x", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config, err := tc.options.tlsConfig(tc.host)
			if err != nil {
				t.Fatal(err)
			}
			near, far := net.Pipe()
			defer near.Close()
			go func() {
				defer far.Close()
				_ = tls.Server(far, server).HandshakeContext(t.Context())
			}()
			if err := tls.Client(near, config).HandshakeContext(t.Context()); (err == nil) != tc.ok {
				t.Errorf("handshake: %v", err)
			}
		})
	}
}

func TestTLSFilesAreNamed(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]Options{
		"ssl_ca_file":   {CAFile: "/nowhere"},
		"empty.pem":     {CAFile: empty},
		"ssl_cert_file": {CertFile: "/nowhere", KeyFile: "/nowhere"},
		"ssl_version":   {TLSVersion: "SSLv2"},
	} {
		if _, err := o.tlsConfig("h"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one about %s", err, want)
		}
	}
}
