package agent

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

func TestRebootAgent(t *testing.T) {
	for name, c := range map[string]struct {
		fast   bool
		silent bool
		power  []string
	}{
		"from its medium":                        {power: []string{store.Reboot}},
		"one that was there, switched off first": {fast: true, power: []string{store.PowerOff, store.Reboot}},
		"one that may just be booting":           {silent: true, power: []string{store.PowerOff, store.PowerOn}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := quick()
			cfg.FastTrack, cfg.ManageBoot, cfg.APIURL = c.fast, true, "http://127.0.0.1:6385"
			n := deployNode()
			n.PowerState = store.PowerOn
			n.DriverInternalInfo["agent_url"] = "http://127.0.0.1:9999"
			n.DriverInternalInfo["agent_last_heartbeat"] = time.Now().UTC().Format("2006-01-02T15:04:05.999999")
			if c.silent {
				delete(n.DriverInternalInfo, "agent_url")
			}
			g := newRig(t, cfg, n)
			if err := g.deploy.RebootAgent(t.Context(), g.task); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(g.worker.power, c.power) || !slices.Contains(g.calls, "prepare_ramdisk") {
				t.Errorf("power %q, calls %q", g.worker.power, g.calls)
			}
			if g.boot.params["ipa-api-url"] != cfg.APIURL {
				t.Errorf("the agent is told %v", g.boot.params)
			}
		})
	}
	g := newRig(t, quick(), deployNode())
	g.deploy.cfg.ManageBoot, g.boot.err = true, errors.New("no medium")
	if err := g.deploy.RebootAgent(t.Context(), g.task); err == nil || !slices.Equal(g.worker.power, []string{store.PowerOff}) {
		t.Errorf("without a medium: %v, power %q", err, g.worker.power)
	}
}
