package redfish_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// Nodes with one BMC share the way there, even with accounts of their own.
func TestOneRequestAtATimeForEachBMC(t *testing.T) {
	b := newBMC(t)
	c := open(t, quick())
	var work sync.WaitGroup
	for _, auth := range []string{"session", "basic", "auto"} {
		for range 3 {
			work.Go(func() {
				x, _ := task(c, b.url)
				x.Node.DriverInfo["redfish_auth_type"] = auth
				if _, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil {
					t.Error(err)
				}
			})
		}
	}
	work.Wait()
	if b.logins != 2 || b.mostAtOne != 1 {
		t.Errorf("%d logins and %d requests at once, want 2 and 1", b.logins, b.mostAtOne)
	}
}

// A BMC that does not answer is left alone by work that nobody waits for. What is asked for is tried, and finds the BMC when
// it is back.
func TestSilentBMCIsLeftAlone(t *testing.T) {
	b := newBMC(t)
	var asked atomic.Int32
	var back atomic.Bool
	b.raw = func(w http.ResponseWriter, r *http.Request) {
		if back.Load() {
			answering := &bmc{system: b.system, sessions: map[string]bool{}, media: b.media}
			b.raw = answering.ServeHTTP
			answering.ServeHTTP(w, r)
			return
		}
		asked.Add(1)
		panic(http.ErrAbortHandler)
	}
	cfg := quick()
	cfg.ConnectionAttempts, cfg.ProbePause = 4, time.Minute
	c := open(t, cfg)
	power := func(routine bool) error {
		x, _ := task(c, b.url)
		x.Routine = routine
		_, err := x.Hardware.Power.PowerState(t.Context(), x)
		return err
	}
	redfishtest.WantError(t, power(false), store.RedfishConnectionError, "Unable to connect to "+b.url)
	if c.Silent() != 1 {
		t.Fatalf("%d BMCs count as silent", c.Silent())
	}
	before := asked.Load()
	redfishtest.WantError(t, power(true), store.RedfishConnectionError, "Redfish connection failed for node node-1: Unable to connect to "+b.url,
		"it has not answered since "+time.Now().UTC().Format("2006-"), "requests in a row")
	if asked.Load() != before {
		t.Error("a silent BMC was asked for work that nobody waits for")
	}
	redfishtest.WantError(t, power(false), store.RedfishConnectionError, b.url)
	if asked.Load() == before {
		t.Error("the BMC was not asked although somebody waits for it")
	}
	back.Store(true)
	for _, routine := range []bool{false, true} {
		if err := power(routine); err != nil {
			t.Errorf("once the BMC is back (routine %v): %v", routine, err)
		}
	}
	if c.Silent() != 0 {
		t.Errorf("%d BMCs count as silent at the end", c.Silent())
	}
}

// BMCs that are silent hold up nobody else: all others are through while these are still being waited for.
func TestSilentBMCsDelayNoOthers(t *testing.T) {
	const all, every = 40, 20 // 5 % are silent
	cfg := quick()
	cfg.ReadTimeout = 10 * time.Minute
	c := open(t, cfg)
	release := make(chan struct{})
	var silent, answering []*drivers.Task
	held := make(chan struct{}, all)
	for i := range all {
		b := newBMC(t)
		x, _ := task(c, b.url)
		if i%every == 0 {
			b.raw = func(http.ResponseWriter, *http.Request) {
				held <- struct{}{}
				<-release
				panic(http.ErrAbortHandler)
			}
			silent = append(silent, x)
			continue
		}
		answering = append(answering, x)
	}
	var waiting sync.WaitGroup
	var through atomic.Int32
	for _, x := range silent {
		waiting.Go(func() {
			_, err := x.Hardware.Power.PowerState(t.Context(), x)
			through.Add(1)
			redfishtest.WantError(t, err, store.RedfishConnectionError, "Unable to connect")
		})
		<-held
	}
	var work sync.WaitGroup
	for _, x := range answering {
		work.Go(func() {
			if err := x.Hardware.Power.SetPowerState(t.Context(), x, store.PowerOn, time.Minute); err != nil {
				t.Error(err)
			}
			if err := x.Hardware.Management.SetBootDevice(t.Context(), x, "pxe", false); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if through.Load() != 0 {
		t.Error("the silent BMCs were not waited for meanwhile")
	}
	close(release)
	waiting.Wait()
}

// The controller is what nodes of one BMC have in common.
func TestController(t *testing.T) {
	power := redfish.NewPower(open(t, quick()))
	for address, want := range map[any]string{
		"https://chassis.example/redfish/v1": "https://chassis.example", "chassis.example": "https://chassis.example",
		"http://chassis.example:8000": "http://chassis.example:8000", "": "", 5: "",
	} {
		n := &store.Node{DriverInfo: store.Dict{"redfish_address": address, "redfish_system_id": "/redfish/v1/Systems/7"}}
		if got := power.Controller(n); got != want {
			t.Errorf("the controller at %v is %q, want %q", address, got, want)
		}
	}
	if got := power.Controller(&store.Node{}); got != "" {
		t.Errorf("without an address: %q", got)
	}
}
