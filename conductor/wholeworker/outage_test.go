package wholeworker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/messaging/oslo"
)

// TestOutages takes away, in the middle of deployments, what the worker stands on.
func TestOutages(t *testing.T) {
	for _, c := range []struct {
		database string
		cases    []outageCase
	}{
		{"mariadb", []outageCase{keystoneIsAway, databaseGoes, brokerGoes, queuesGo, glanceIsCut, glanceIsAway}},
		{"postgresql", []outageCase{databaseGoes}},
	} {
		t.Run(c.database, func(t *testing.T) {
			t.Parallel()
			var glance *fickleGlance
			// Ironic-api waits for what was lost on its way until this time has passed.
			s := setup{database: c.database, glance: true, extra: options{"DEFAULT": {"rpc_response_timeout": "8"}}}
			s.keystone = c.database == "mariadb"
			s.own = func(w *world) options {
				glance = startFickleGlance(t, w.lab.GlanceURL)
				login := map[string]string{"endpoint_override": glance.server.URL}
				if s.keystone {
					maps.Copy(login, map[string]string{"auth_type": "password", "auth_url": w.lab.KeystoneURL + "/v3",
						"username": "admin", "password": lab.KeystonePassword, "user_domain_id": "default",
						"project_name": "admin", "project_domain_id": "default"})
				}
				return options{"glance": login}
			}
			w := start(t, s)
			o := outage{w: w, web: startWebServer(t), glance: glance, img: makeImage(t, w.wares, 4, 1)}
			machines := w.openRoom(t, room.Config{Seed: 1, Count: len(c.cases)}).Machines()
			for i, one := range c.cases {
				t.Run(one.name, func(t *testing.T) {
					o.run(t, one, machines[i])
				})
			}
		})
	}
}

// outageCase is a fault within a deployment, which it begins and which goes on when it returns.
type outageCase struct {
	name string
	run  func(*outage, *testing.T)
}

// outage is a deployment in the middle of which something is taken away.
type outage struct {
	w       *world
	web     *webServer
	glance  *fickleGlance
	img     diskImage
	machine *room.Machine
	node    string
}

// run has a deployment go through the case, and looks whether it ends as if nothing had been.
func (o outage) run(t *testing.T, c outageCase, m *room.Machine) {
	o.machine = m
	var err error
	o.node, err = o.w.api.enrol(t.Context(), m.Info(), o.w.ramdisk, map[string]any{"automated_clean": false})
	must(t, err)
	makeAvailable(t, o.w, o.node)
	c.run(&o, t)
	n, err := o.w.api.settle(t.Context(), o.node)
	must(t, err)
	if n.ProvisionState != "active" || n.LastError != "" || n.InstanceInfo["image_type"] != "whole-disk" {
		t.Fatalf("the node is in %q with an image of type %v: %s", n.ProvisionState, n.InstanceInfo["image_type"], n.LastError)
	}
	if sum, err := m.DiskSHA256(o.img.size); err != nil || sum != o.img.sum {
		t.Errorf("the disk differs from the image (%v)", err)
	}
	if got := m.Snapshot(); got.Writes != 1 {
		t.Errorf("the image was written %d times", got.Writes)
	}
	o.w.checkNothingHeld(t)
	o.checkEnd(t)
	eventually(t, "nothing counts as away", func() error {
		h, err := o.w.health(t.Context())
		for part, says := range h.Parts {
			if says != "ok" {
				return fmt.Errorf("%s: %s", part, says)
			}
		}
		return err
	})
}

// checkEnd looks whether the end of the deployment was announced, once.
func (o *outage) checkEnd(t *testing.T) {
	t.Helper()
	ends := map[string]map[string]bool{}
	eventually(t, "the end was announced", func() error {
		ends = map[string]map[string]bool{"flow": {}, "state": {}}
		for _, e := range o.w.events.of(o.node) {
			switch {
			case e.flow == "deploy" && e.kind == "baremetal.node.deploy_progress.end":
				ends["flow"][e.id] = true
			case e.kind == "baremetal.node.provision_set.end" && e.state == "active":
				ends["state"][e.id] = true
			}
		}
		if len(ends["flow"]) == 0 || len(ends["state"]) == 0 {
			return fmt.Errorf("announced: %v", ends)
		}
		return nil
	})
	if len(ends["flow"]) > 1 || len(ends["state"]) > 1 {
		t.Errorf("the end was announced more than once: %v", ends)
	}
}

func (o *outage) order(t *testing.T, instance map[string]any) {
	t.Helper()
	must(t, o.w.api.patch(t.Context(), o.node, set("/instance_info", instance)))
	must(t, o.w.api.provision(t.Context(), o.node, "active"))
}

// orderGated deploys an image that waits at a gate: on the way to the worker, or to the machine.
func (o *outage) orderGated(t *testing.T, more map[string]any) *gate {
	t.Helper()
	g := newGate()
	instance := map[string]any{"image_source": o.web.put(o.machine.Info().Name, serveGated(o.img.raw, g)),
		"image_disk_format": "raw", "image_checksum": o.img.sum}
	for key, value := range more {
		instance[key] = value
	}
	o.order(t, instance)
	g.awaitReached(t)
	return g
}

// health asks the worker how it is, whatever the answer's status is.
func (w *world) health(ctx context.Context) (conductor.Health, error) {
	var h conductor.Health
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.admin+"/healthz", nil)
	if err != nil {
		return h, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return h, err
	}
	defer response.Body.Close()
	if h.Ready = false; json.NewDecoder(response.Body).Decode(&h) != nil {
		return h, errors.New("the answer is no JSON")
	}
	if h.Ready != (response.StatusCode == http.StatusOK) {
		return h, fmt.Errorf("ready is %v in an answer %s", h.Ready, response.Status)
	}
	return h, nil
}

// awaitAway waits until the worker says that a part is away and since when, and whether it is ready all the same.
func (o *outage) awaitAway(t *testing.T, part string, ready bool) {
	t.Helper()
	eventually(t, part+" counts as away", func() error {
		h, err := o.w.health(t.Context())
		if err == nil && (!strings.HasPrefix(h.Parts[part], "away since 20") || h.Ready != ready) {
			err = fmt.Errorf("health is %+v", h)
		}
		return err
	})
}

// awaitLog waits until the worker's log has a text.
func (o *outage) awaitLog(t *testing.T, want string) {
	t.Helper()
	eventually(t, "the log has its say", func() error {
		log, err := os.ReadFile(o.w.conductor.LogFile())
		if err == nil && !strings.Contains(string(log), want) {
			err = fmt.Errorf("it does not say %q", want)
		}
		return err
	})
}

// The database goes while the worker fetches the image. Then there is a row to write, and nowhere to write it.
var databaseGoes = outageCase{"the database is restarted", func(o *outage, t *testing.T) {
	g := o.orderGated(t, local(nil))
	must(t, o.w.lab.Database.Stop())
	close(g.open)
	o.awaitAway(t, "database", false)
	o.awaitLog(t, "The database is away; waiting for it")
	if failed := o.call(t, "change_node_power_state", `{"node_id": "`+o.node+`", "new_state": "power off", "timeout": null}`); failed == nil ||
		failed.Class != "TemporaryFailure" || !strings.Contains(failed.Message, "database") {
		t.Errorf("a request meanwhile is answered with %+v", failed)
	}
	must(t, o.w.lab.Database.Start(t.Context()))
	o.awaitLog(t, "The database is back")
	// Ironic-api finds its own connections broken, one request after the other.
	eventually(t, "ironic-api answers again", func() error {
		_, err := o.w.api.node(t.Context(), o.node)
		return err
	})
}}

// channel speaks to the broker past everybody.
func (o *outage) channel(t *testing.T) *amqp.Channel {
	t.Helper()
	connection, err := amqp.Dial(strings.Replace(o.w.lab.RabbitMQ.TransportURL, "rabbit", "amqp", 1))
	must(t, err)
	t.Cleanup(func() { connection.Close() })
	ch, err := connection.Channel()
	must(t, err)
	return ch
}

// call asks the worker past ironic-api, which needs the database too, and returns how it failed.
func (o *outage) call(t *testing.T, method, args string) *oslo.Failure {
	t.Helper()
	ch := o.channel(t)
	id := strings.ReplaceAll(uuid.NewString(), "-", "")
	queue, err := ch.QueueDeclare("reply_"+id, false, true, true, false, nil)
	must(t, err)
	replies, err := ch.Consume(queue.Name, "", true, true, false, false, nil)
	must(t, err)
	inner, err := json.Marshal(fmt.Sprintf(`{"method": %q, "version": "1.55", "args": %s, "_msg_id": %q, "_reply_q": %q, "_unique_id": %q}`,
		method, args, id, queue.Name, id))
	must(t, err)
	must(t, ch.PublishWithContext(t.Context(), "ironic", "ironic.conductor_manager."+o.w.host, false, false, amqp.Publishing{
		ContentType: "application/json", ContentEncoding: "utf-8",
		Body: fmt.Appendf(nil, `{"oslo.version": "2.0", "oslo.message": %s}`, inner)}))
	select {
	case d := <-replies:
		reply, err := oslo.DecodeReply(d.Body)
		must(t, err)
		return reply.Failure
	case <-time.After(settleTime):
		t.Fatal("the request was not answered")
	}
	return nil
}

// The broker goes while the machine writes the image. What the agent has to say then reaches ironic-api, and nobody else.
var brokerGoes = outageCase{"the broker is restarted", func(o *outage, t *testing.T) {
	g := o.orderGated(t, nil)
	must(t, o.w.lab.RabbitMQ.Kill())
	o.awaitAway(t, "broker", false)
	must(t, o.w.lab.RabbitMQ.Start(t.Context()))
	eventually(t, "the events are followed again", func() error {
		if !o.w.events.following() {
			return errors.New("not connected")
		}
		return nil
	})
	close(g.open)
}}

// Queues and exchanges go, and nobody is told.
var queuesGo = outageCase{"queues and exchanges are deleted", func(o *outage, t *testing.T) {
	g := o.orderGated(t, nil)
	ch := o.channel(t)
	for _, name := range []string{"ironic.conductor_manager." + o.w.host, "ironic_versioned_notifications.info"} {
		_, err := ch.QueueDelete(name, false, false, false)
		must(t, err)
	}
	must(t, ch.ExchangeDelete("ironic.conductor_manager_fanout", false, false))
	close(g.open)
}}

// Keystone is away when the worker wants to log in for the first time.
var keystoneIsAway = outageCase{"keystone is away", func(o *outage, t *testing.T) {
	must(t, o.w.lab.Keystone.Stop())
	o.order(t, map[string]any{"image_source": o.upload(t, 3)})
	o.awaitAway(t, "keystone", true)
	must(t, o.w.lab.Keystone.Start(t.Context()))
}}

// upload puts an image into Glance that no other case has, for the worker keeps those that it had.
func (o *outage) upload(t *testing.T, seed byte) string {
	t.Helper()
	o.img = makeImage(t, o.w.wares, 4, seed)
	return o.w.upload(t, o.img.qcow2, "qcow2")
}

// Glance breaks off the transfer and is away for a while.
var glanceIsCut = outageCase{"glance is cut in mid-download", func(o *outage, t *testing.T) {
	image := o.upload(t, 5)
	back := o.glance.cutNext()
	o.order(t, map[string]any{"image_source": image})
	o.awaitAway(t, "glance", true)
	back()
	_, err := o.w.api.await(t.Context(), o.node, "wait call-back", func(n node) bool { return n.ProvisionState != "deploying" })
	must(t, err)
	if rest := o.glance.rests(); len(rest) != 1 || !strings.HasPrefix(rest[0], "bytes=") {
		t.Errorf("the rest was asked for with %q", rest)
	}
}}

// Glance is away before anything is known about the image.
var glanceIsAway = outageCase{"glance is away", func(o *outage, t *testing.T) {
	image := o.upload(t, 4)
	back := o.glance.leave()
	o.order(t, map[string]any{"image_source": image})
	o.awaitAway(t, "glance", true)
	back()
}}

// fickleGlance stands before Glance.
type fickleGlance struct {
	server *httptest.Server
	mu     sync.Mutex
	away   bool
	cut    bool
	asked  []string // the ranges that were asked for since
}

func startFickleGlance(t *testing.T, service string) *fickleGlance {
	g := &fickleGlance{}
	through := newGated(t, service)
	through.proxy.ModifyResponse = makePublic
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		away, cut := g.away, g.cut && strings.HasSuffix(r.URL.Path, "/file")
		if cut {
			g.cut, g.away = false, true
		} else if part := r.Header.Get("Range"); part != "" && !away {
			g.asked = append(g.asked, part)
		}
		g.mu.Unlock()
		switch {
		case away:
			http.Error(w, "no server is available", http.StatusServiceUnavailable)
		case cut:
			through.ServeHTTP(&cutting{ResponseWriter: w}, r)
		default:
			through.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(g.server.Close)
	return g
}

// makePublic changes what Glance tells of images: one without Keystone lets nobody make an image public, and no other is
// given to whoever asks with the worker's own login.
func makePublic(response *http.Response) error {
	if response.Header.Get("Content-Type") != "application/json" {
		return nil
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	text = bytes.ReplaceAll(text, []byte(`"visibility": "shared"`), []byte(`"visibility": "public"`))
	response.Body = io.NopCloser(bytes.NewReader(text))
	response.ContentLength = int64(len(text))
	response.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}

// cutting breaks a connection in the middle of a body.
type cutting struct{ http.ResponseWriter }

func (c *cutting) Write(p []byte) (int, error) {
	_, _ = c.ResponseWriter.Write(p[:len(p)/2])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// cutNext breaks off the next transfer; Glance is away from then on until the function that it returns is called.
func (g *fickleGlance) cutNext() (back func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut, g.asked = true, nil
	return g.back
}

func (g *fickleGlance) leave() (back func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away = true
	return g.back
}

func (g *fickleGlance) back() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away = false
}

func (g *fickleGlance) rests() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked
}
