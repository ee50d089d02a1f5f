package redfish_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

func TestOneSessionServesEverything(t *testing.T) {
	b := newBMC(t)
	c := redfish.New(quick(), zerolog.Nop())
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			x, _ := task(c, b.url)
			if _, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil {
				t.Error(err)
			}
			if _, err := x.Hardware.Management.BootDevice(t.Context(), x); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if b.logins != 1 || b.mostAtOne != 1 {
		t.Errorf("%d logins and %d requests at once, want one of each", b.logins, b.mostAtOne)
	}
	if err := c.Close(context.Background()); err != nil || b.logouts != 1 || len(b.sessions) != 0 {
		t.Errorf("after closing: %v, %d logouts, %d sessions left", err, b.logouts, len(b.sessions))
	}
	x, _ := task(c, b.url)
	if _, err := x.Hardware.Power.PowerState(t.Context(), x); err == nil || b.logins != 1 {
		t.Errorf("after closing, a session was opened: %v", err)
	}
}

func TestDroppedSessionIsRenewed(t *testing.T) {
	b := newBMC(t)
	x, _ := task(open(t, quick()), b.url)
	for i := range 3 {
		if err := x.Hardware.Management.SetBootDevice(t.Context(), x, "pxe", false); err != nil {
			t.Fatal(err)
		}
		if b.logins != i+1 {
			t.Fatalf("%d logins in round %d", b.logins, i)
		}
		b.set(func() { clear(b.sessions) })
	}
}

func TestSessionThatIsDroppedAgainAndAgain(t *testing.T) {
	b := newBMC(t)
	drops := 4 // the third of which meets the end of a session that had just been opened
	b.lose = func() bool {
		drops--
		return drops >= 0
	}
	x, _ := task(open(t, quick()), b.url)
	if err := x.Hardware.Management.SetBootDevice(t.Context(), x, "pxe", false); err != nil {
		t.Fatal(err)
	}
	if b.logins != 4 {
		t.Errorf("%d logins, want 4", b.logins)
	}
}

func TestReplacedCertificateAuthority(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	b := newBMC(t)
	trust := func(server *httptest.Server) {
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := httptest.NewTLSServer(b)
	trust(first)
	x, _ := task(open(t, quick()), first.URL)
	x.Node.DriverInfo["redfish_verify_ca"] = file
	if _, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	first.Close()
	second := renewed(t, b, first.Listener.Addr().String())
	_, err := x.Hardware.Power.PowerState(t.Context(), x)
	redfishtest.WantError(t, err, store.RedfishConnectionError, "certificate is not trusted")
	trust(second)
	if _, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil {
		t.Errorf("after the file was replaced: %v", err)
	}
}

func TestChangedPasswordGetsItsOwnSession(t *testing.T) {
	b := newBMC(t)
	c := open(t, quick())
	x, _ := task(c, b.url)
	if _, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	x.Node.DriverInfo["redfish_password"] = "another-pass"
	_, err := x.Hardware.Power.PowerState(t.Context(), x)
	redfishtest.WantError(t, err, store.RedfishError, "HTTP 401", b.url, "user name and password")
	if strings.Contains(err.Error(), "another-pass") {
		t.Errorf("%q tells the password", err)
	}
}

func TestWrongPassword(t *testing.T) {
	for _, auth := range []string{"auto", "session", "basic"} {
		b := newBMC(t)
		x, _ := task(open(t, quick()), b.url)
		x.Node.DriverInfo["redfish_auth_type"] = auth
		x.Node.DriverInfo["redfish_password"] = "wrong-pass"
		_, err := x.Hardware.Power.PowerState(t.Context(), x)
		redfishtest.WantError(t, err, store.RedfishError, "Redfish exception occurred. Error: ", b.url, "HTTP 401",
			"the user name and password in driver_info")
		if strings.Contains(err.Error(), "wrong-pass") {
			t.Errorf("%q tells the password", err)
		}
		// Set right, the next attempt works.
		x.Node.DriverInfo["redfish_password"] = password
		if _, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil {
			t.Errorf("%s: %v", auth, err)
		}
	}
}

func TestBMCWithoutSessions(t *testing.T) {
	b := newBMC(t)
	b.noSessions = true
	x, _ := task(open(t, quick()), b.url)
	if state, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil || state != "power off" {
		t.Errorf("auto: %s, %v", state, err)
	}
	x.Node.DriverInfo["redfish_auth_type"] = "session"
	_, err := x.Hardware.Power.PowerState(t.Context(), x)
	redfishtest.WantError(t, err, store.RedfishError, "HTTP 404", "no session service")
}

func TestCacheOfSessions(t *testing.T) {
	cfg := quick()
	cfg.CacheSize = 1
	first, second := newBMC(t), newBMC(t)
	c := open(t, cfg)
	for _, b := range []*bmc{first, second, second} {
		x, _ := task(c, b.url)
		if _, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if first.logouts != 1 || second.logouts != 1 || second.logins != 1 {
		t.Errorf("logouts %d and %d, logins of the second %d", first.logouts, second.logouts, second.logins)
	}
}

func TestRootPrefixAndSystem(t *testing.T) {
	b := newBMC(t)
	x, _ := task(open(t, quick()), b.url+"/prefix/redfish/v1")
	x.Node.DriverInfo["redfish_system_id"] = systemAt
	if state, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil || state != "power off" {
		t.Errorf("%s, %v", state, err)
	}
	x.Node.DriverInfo["redfish_system_id"] = "/redfish/v1/Systems/2"
	_, err := x.Hardware.Power.PowerState(t.Context(), x)
	redfishtest.WantError(t, err, store.RedfishError, "HTTP 404", b.url)
}

func TestAnswersThatAreNotRedfish(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"web page":   {write(200, "<html><body>router</body></html>"), "<html>"},
		"empty":      {write(200, ""), "empty"},
		"list":       {write(200, "[1, 2]"), "[1, 2]"},
		"cut short":  {write(200, `{"Systems": `), "not Redfish"},
		"other JSON": {write(200, `{"hello": "world"}`), "RedfishVersion"},
		"not found":  {write(404, "<html>no</html>"), "404"},
		"huge":       {write(200, `{"a": "`+strings.Repeat("x", 5<<20)+`"}`), "more than 4 MiB"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusFound)
		}, "HTTP 302"},
	} {
		b := newBMC(t)
		b.raw = c.answer
		x, _ := task(open(t, quick()), b.url)
		_, err := x.Hardware.Power.PowerState(t.Context(), x)
		redfishtest.WantError(t, err, store.RedfishError, b.url, c.want)
		if err != nil && len(err.Error()) > 800 {
			t.Errorf("%s: the text has %d bytes", name, len(err.Error()))
		}
	}
}

func write(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

func TestUnreachable(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + closed.Addr().String()
	closed.Close()
	x, _ := task(open(t, quick()), address)
	_, err = x.Hardware.Power.PowerState(t.Context(), x)
	redfishtest.WantError(t, err, store.RedfishConnectionError,
		"Redfish connection failed for node node-1: Unable to connect to "+address, "connection refused")
}

func TestBriefOutageIsBridged(t *testing.T) {
	b := newBMC(t)
	failures := 1
	b.raw = func(w http.ResponseWriter, r *http.Request) {
		if failures > 0 {
			failures--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		b.raw = nil
		b.ServeHTTP(w, r)
	}
	x, _ := task(open(t, quick()), b.url)
	if _, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil {
		t.Error(err)
	}
}

func TestSilentBMC(t *testing.T) {
	b := newBMC(t)
	b.raw = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	cfg := quick()
	cfg.ConnectTimeout, cfg.ReadTimeout = 20*time.Millisecond, 20*time.Millisecond
	x, _ := task(open(t, cfg), b.url)
	_, err := x.Hardware.Power.PowerState(t.Context(), x)
	redfishtest.WantError(t, err, store.RedfishConnectionError, b.url, "no answer within 20ms")

	// A caller who gives up does not wait for the BMC.
	x, _ = task(open(t, quick()), b.url)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := x.Hardware.Power.PowerState(ctx, x); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("given up: %v", err)
	}
}

func TestCertificates(t *testing.T) {
	b := newBMC(t)
	server := httptest.NewUnstartedServer(b)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	bundle := filepath.Join(dir, "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, quick())
	x, _ := task(c, server.URL)
	_, err := x.Hardware.Power.PowerState(t.Context(), x)
	redfishtest.WantError(t, err, store.RedfishConnectionError, server.URL, "certificate is not trusted", "redfish_verify_ca")
	for _, verify := range []any{bundle, dir, false, "no"} {
		x.Node.DriverInfo["redfish_verify_ca"] = verify
		if _, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil {
			t.Errorf("%v: %v", verify, err)
		}
	}
	empty := filepath.Join(dir, "none.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	x.Node.DriverInfo["redfish_verify_ca"] = empty
	_, err = x.Hardware.Power.PowerState(t.Context(), x)
	redfishtest.WantError(t, err, store.InvalidParameterValue, empty)
}

// A BMC that speaks less than its node demands is not spoken to.
func TestTLSVersionsAndCiphers(t *testing.T) {
	b := newBMC(t)
	server := httptest.NewUnstartedServer(b)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}}
	server.StartTLS()
	t.Cleanup(server.Close)
	cfg := quick()
	cfg.ChoosesTLS = true
	for _, c := range []struct {
		minimum, ciphers any
		refused          store.Kind
	}{
		{"1.2", nil, ""}, {"1.1", "AES128-SHA:ECDHE+SHA1", ""}, {"1.2", "ECDHE-RSA-AES128-GCM-SHA256", ""},
		{"1.3", nil, store.RedfishConnectionError}, {"1.2", "AES256", store.RedfishConnectionError},
		{nil, "DHE-RSA-AES256-SHA", store.InvalidParameterValue},
	} {
		x, _ := task(open(t, cfg), server.URL)
		x.Node.DriverInfo["redfish_verify_ca"] = false
		x.Node.DriverInfo["redfish_tls_minimum_version"], x.Node.DriverInfo["redfish_tls_ciphers"] = c.minimum, c.ciphers
		if _, err := x.Hardware.Power.PowerState(t.Context(), x); store.KindOf(err) != c.refused || (err == nil) != (c.refused == "") {
			t.Errorf("%v, %v: %v", c.minimum, c.ciphers, err)
		}
	}
}

// renewed serves b at an address that was another server's, with a new certificate.
func renewed(t *testing.T, b *bmc, address string) *httptest.Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(b)
	_ = server.Listener.Close()
	if server.Listener, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}
