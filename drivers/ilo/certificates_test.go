package ilo_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// authority returns a certificate and its fingerprint in an iLO's words.
func authority(t *testing.T) (text, print string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		strings.ReplaceAll(strings.ToUpper(fmt.Sprintf("% x", sum[:])), " ", ":")
}

const certAt = "/redfish/v1/Managers/1/SecurityService/HttpsCert"

func TestCertificateOfTheILO(t *testing.T) {
	tr := redfishtest.Open(t, hardware, func(tr *redfishtest.Tree, _, path string, body redfishtest.Object) (int, redfishtest.Object, bool) {
		if strings.HasSuffix(path, ".GenerateCSR/") {
			tr.Merge(certAt, redfishtest.Object{"CertificateSigningRequest": "a request of " + fmt.Sprint(body["CommonName"])})
		}
		return 200, redfishtest.Object{}, strings.HasPrefix(path, certAt)
	})
	action := func(name string) string { return certAt + "/Actions/HpeHttpsCert." + name + "/" }
	tr.Set(certAt, redfishtest.Object{"CertificateSigningRequest": "", "Actions": redfishtest.Object{
		"#HpeHttpsCert.GenerateCSR":       redfishtest.Object{"target": action("GenerateCSR")},
		"#HpeHttpsCert.ImportCertificate": redfishtest.Object{"target": action("ImportCertificate")}}})
	text, _ := authority(t)
	cfg := config()
	cfg.CertPath, cfg.CSRTimeout, cfg.CSRPause = t.TempDir(), time.Minute, time.Millisecond
	x, m, served := updating(t, tr, cfg, map[string]string{"file:///srv/cert.pem": "Bag\n" + text + text, "http://files/none": "nothing"})
	outcome, err := run(t, m, x, drivers.CleanStep, "create_csr", store.Dict{"csr_params": map[string]any{"CommonName": "ilo.example.org"}})
	if outcome != drivers.Done || err != nil {
		t.Fatalf("%v, %v", outcome, err)
	}
	if got, err := os.ReadFile(filepath.Join(cfg.CertPath, "node-1", "node-1.csr")); err != nil || string(got) != "a request of ilo.example.org" {
		t.Errorf("%q, %v", got, err)
	}
	wantChanges(t, tr, `POST `+action("GenerateCSR")+` {"CommonName":"ilo.example.org"}`)
	outcome, err = run(t, m, x, drivers.CleanStep, "add_https_certificate", store.Dict{"cert_file": "/srv/cert.pem"})
	if outcome != drivers.Done || err != nil || len(served.staged) > 0 {
		t.Fatalf("%v, %v", outcome, err)
	}
	crlf := strings.ReplaceAll(strings.TrimSpace(text), "\n", `\r\n`)
	wantChanges(t, tr, `POST `+action("ImportCertificate")+` {"Certificate":"`+crlf+`"}`)
	_, err = run(t, m, x, drivers.CleanStep, "add_https_certificate", store.Dict{"cert_file": "ftp://files/cert"})
	redfishtest.WantError(t, err, store.IloOperationNotSupported, "The url scheme ftp not supported with clean step add_https_certificate")
	_, err = run(t, m, x, drivers.CleanStep, "add_https_certificate", store.Dict{"cert_file": "http://files/none"})
	redfishtest.WantError(t, err, store.NodeCleaningFailure, "No valid certificate in http://files/none.")
	wantChanges(t, tr)
}

func TestCACertificatesAreCleared(t *testing.T) {
	const tlsAt = "/redfish/v1/systems/1/bios/oem/hpe/tlsconfig/"
	first, firstPrint := authority(t)
	second, secondPrint := authority(t)
	dir := t.TempDir()
	both, spared := filepath.Join(dir, "both.pem"), filepath.Join(dir, "spared.pem")
	for file, content := range map[string]string{both: first + second, spared: second} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tr := redfishtest.Open(t, hardware, takes("tlsconfig/settings"))
	tr.Set("/redfish/v1/Systems/1/bios", redfishtest.Object{"Attributes": redfishtest.Object{"BootMode": "Uefi"}})
	tr.Set(tlsAt, redfishtest.Object{"Certificates": []any{redfishtest.Object{"FingerPrint": secondPrint}, redfishtest.Object{"FingerPrint": "AA:BB"}},
		"@Redfish.Settings": redfishtest.Object{"SettingsObject": redfishtest.Object{"@odata.id": tlsAt + "settings/"}}})
	cfg := config()
	cfg.WebserverCA = spared
	x, w := task(t, tr, cfg)
	x.Node.CleanStep = store.Dict{"step": "clear_ca_certificates"}
	m := x.Hardware.Management
	clearing := func(files ...any) (drivers.Outcome, error) {
		return run(t, m, x, drivers.CleanStep, "clear_ca_certificates", store.Dict{"certificate_files": files})
	}
	if outcome, err := clearing(both); outcome != drivers.Waiting || err != nil || len(w.Power) != 1 {
		t.Fatalf("%v, %v, power %q", outcome, err, w.Power)
	}
	wantChanges(t, tr, `PUT `+tlsAt+`settings/ {"DeleteCertificates":[{"FingerPrint":"`+firstPrint+`"}]}`)
	// The machine has restarted.
	if outcome, err := clearing(both); outcome != drivers.Done || err != nil || x.Node.DriverInternalInfo.Bool("clear_ca_certs_flag", false) {
		t.Fatalf("%v, %v", outcome, err)
	}
	if _, err := clearing(); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, tr, `PUT `+tlsAt+`settings/ {"DeleteCertificates":[{"FingerPrint":"AA:BB"}]}`)
	delete(x.Node.DriverInternalInfo, "clear_ca_certs_flag")
	_, err := clearing(spared)
	redfishtest.WantError(t, err, store.NodeCleaningFailure, "Step 'clear_ca_certificates' failed on node node-1 with error: Clearing certificates "+
		"from node node-1. failed, error: ")
	redfishtest.WantError(t, err, store.NodeCleaningFailure, "No valid certificate in ['"+spared+"'].")
	tr.Set("/redfish/v1/Systems/1/bios", redfishtest.Object{"Attributes": redfishtest.Object{"BootMode": "LegacyBios"}})
	_, err = clearing(both)
	redfishtest.WantError(t, err, store.NodeCleaningFailure, "TLS certificates cannot be removed in BIOS boot mode")
	wantChanges(t, tr)
}
