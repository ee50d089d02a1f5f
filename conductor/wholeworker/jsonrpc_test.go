package wholeworker

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// securedRPC makes certificates and a password, and returns what ironic-api and the conductor have to know of them.
func securedRPC(t *testing.T) options {
	t.Helper()
	dir, err := os.MkdirTemp("", "imj-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	cert, key, users := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "htpasswd")
	// The certificate that comes with Go's test servers is for 127.0.0.1.
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	secret, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	must(t, err)
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o644))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o644))
	// checkLog looks for this password.
	hash, err := bcrypt.GenerateFromPassword([]byte("guessed-wrong"), bcrypt.MinCost)
	must(t, err)
	must(t, os.WriteFile(users, []byte("ironic:"+string(hash)+"\n"), 0o644))
	return options{
		"json_rpc": {"auth_strategy": "http_basic", "http_basic_auth_user_file": users, "username": "ironic",
			"password": "guessed-wrong", "use_ssl": "true", "cafile": cert},
		"ssl": {"cert_file": cert, "key_file": key},
	}
}

// TestRestartWithoutABroker kills the worker while it looks at a request. Its caller sees the connection break; the request
// is carried out after the restart, once.
func TestRestartWithoutABroker(t *testing.T) {
	var glance *gated
	w := start(t, setup{database: "sqlite", transport: "json-rpc", glance: true, own: func(w *world) options {
		glance = newGated(t, w.lab.GlanceURL)
		server := httptest.NewServer(glance)
		t.Cleanup(server.Close)
		return options{"glance": {"endpoint_override": server.URL}}
	}})
	r := restart{w: w, img: makeImage(t, w.wares, 12, 1), machine: w.openRoom(t, room.Config{Seed: 1, Count: 1}).Machines()[0]}
	var err error
	r.node, err = w.api.enrol(t.Context(), r.machine.Info(), w.ramdisk, map[string]any{"automated_clean": false})
	must(t, err)
	makeAvailable(t, w, r.node)
	must(t, w.api.patch(t.Context(), r.node, set("/instance_info", map[string]any{"image_source": w.upload(t, r.img.qcow2, "qcow2")})))
	g := newGate()
	glance.set(g)
	answer := make(chan error, 1)
	go func() {
		answer <- w.api.once(t.Context(), "PUT", "/v1/nodes/"+r.node+"/states/provision", map[string]any{"target": "active"}, nil)
	}()
	g.awaitReached(t)
	must(t, w.conductor.Kill())
	if err := <-answer; err == nil {
		t.Error("the caller was answered by a worker that is dead")
	}
	glance.set(nil)
	close(g.open)
	r.start(t)
	again := w.followWorker(t)
	_, err = w.api.await(t.Context(), r.node, "the request being carried out", func(n node) bool { return n.ProvisionState != "available" })
	must(t, err)
	r.checkActive(t)
	w.checkNothingHeld(t)
	if got := r.machine.Snapshot(); got.Writes != 1 || got.Starts != 2 {
		t.Errorf("the machine is %+v; it should have got the image once, and started for the agent and from its disk", got)
	}
	eventually(t, "the end of the deployment is told", func() error {
		ends := 0
		for _, e := range again.of(r.node) {
			if e.kind == "baremetal.node.deploy_progress.end" {
				ends++
			}
		}
		if ends != 1 {
			return fmt.Errorf("told %d times", ends)
		}
		return nil
	})
}

// followWorker follows the worker itself until it ends.
func (w *world) followWorker(t *testing.T) *events {
	t.Helper()
	var response *http.Response
	eventually(t, "the worker can be followed", func() error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.admin+"/events", nil)
		must(t, err)
		response, err = http.DefaultClient.Do(request)
		return err
	})
	e, done := &events{}, make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			e.add(lines.Bytes())
		}
	}()
	t.Cleanup(func() {
		response.Body.Close()
		<-done
		for _, text := range e.unreadable {
			t.Errorf("an event that cannot be read: %s", text)
		}
	})
	return e
}
