package conductor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
)

// TestReasons holds each rule against the situation that it is for.
func TestReasons(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	iso := func(d time.Duration) string { return before(d).Format(isoMicro) }
	moments := func(list ...local.Moment) func(*situation) {
		return func(s *situation) {
			for _, m := range list {
				if m.At.IsZero() {
					m.At = before(time.Minute)
				}
				if m.Last.IsZero() {
					m.Last = before(40 * time.Second)
				}
				s.timeline = append(s.timeline, m)
			}
		}
	}
	deploying := func(change func(*situation)) func(*situation) {
		return func(s *situation) {
			s.node.ProvisionState, s.node.Reservation, s.purpose = store.Deploying, "here", "node deployment"
			if change != nil {
				change(s)
			}
		}
	}
	waiting := func(change func(*situation)) func(*situation) {
		return func(s *situation) {
			s.node.ProvisionState, s.node.PowerState = store.DeployWait, store.PowerOn
			s.node.DriverInternalInfo["last_power_state_change"] = iso(10 * time.Minute)
			if change != nil {
				change(s)
			}
		}
	}
	heartbeat := func(d time.Duration, more ...local.Moment) func(*situation) {
		return func(s *situation) {
			s.node.DriverInternalInfo[keyAgentHeartbeat] = iso(d)
			moments(more...)(s)
		}
	}
	progress := func(text, result string, age time.Duration) local.Moment {
		return local.Moment{Kind: momentProgress, Text: text, Result: result, Last: before(age)}
	}
	begun := local.Moment{Kind: "image", Text: drivers.FetchBegun, Last: before(2 * time.Minute)}
	bmc := local.Moment{Kind: "bmc", Text: "POST /redfish/v1/Systems/1/Actions", Result: "no answer within 1m0s", Failed: true}
	for _, c := range []struct {
		rule string
		set  func(*situation)
		says string
	}{
		{"nothing", func(*situation) {}, `it is "active"`},
		{"database away", func(s *situation) { s.node, s.databaseErr = nil, errors.New("connection refused") }, "connection refused"},
		{"lock of a dead conductor", deploying(func(s *situation) { s.node.Reservation, s.holderSeen = "gone", before(90*time.Second) }),
			"conductor gone, which holds its lock; that conductor gave its last sign of life 1 min 30 s ago; start it again"},
		{"lock of a dead conductor", deploying(func(s *situation) { s.node.Reservation = "gone" }), "that conductor is not registered"},
		{"lock of another conductor", deploying(func(s *situation) { s.node.Reservation, s.holderAlive = "peer", true }),
			"run `ironmaster explain` on peer"},
		{"conductor stopped", deploying(func(s *situation) { s.worker = nil }), "systemctl start"},
		{"registration lapsed", waiting(func(s *situation) { s.worker.lease = "Conductor here could not renew" }), "could not renew"},
		{"conductor leaving", deploying(func(s *situation) { s.worker.leaving = true }), "conductor here is stopping or draining"},
		{"no conductor", waiting(func(s *situation) { s.owner = "" }), `none that is alive serves driver redfish in conductor group "rack"`},
		{"another conductor's", waiting(func(s *situation) { s.owner = "peer" }), "run `ironmaster explain` on peer"},
		{"broker away", waiting(func(s *situation) { s.worker.deaf = "broker" }), "the broker; the conductor is not connected"},
		{"maintenance", waiting(func(s *situation) { s.node.Maintenance, s.node.MaintenanceReason = true, pointer("a new disk") }),
			"the node is in maintenance: a new disk; when the cause is gone: openstack"},
		{"maintenance", func(s *situation) { s.node.Maintenance, s.node.Fault = true, store.FaultPower }, "comes out of maintenance by itself"},
		{"BMC", deploying(moments(bmc)), "POST /redfish/v1/Systems/1/Actions failed 40 s ago: no answer within 1m0s; see whether the BMC"},
		{"other images", deploying(moments(progress("waiting for other images", "", time.Second))), "image_download_concurrency"},
		{"image", deploying(moments(local.Moment{Kind: "image", Text: drivers.FetchBegun, Last: before(time.Second)})), "the conductor is fetching it: just begun"},
		{"image", deploying(moments(begun, progress("downloading the image", "3.0 MiB of 9.0 MiB", time.Second))),
			"downloading the image: 3.0 MiB of 9.0 MiB"},
		{"step", deploying(moments(begun, local.Moment{Kind: "image", Text: drivers.FetchEnded, Last: before(time.Second)},
			progress("downloading the image", "9.0 MiB of 9.0 MiB", 2*time.Second))), "at work"},
		{"image stalled", deploying(moments(begun, progress("downloading the image", "3.0 MiB of 9.0 MiB", time.Minute))),
			"nothing has arrived for 1 min 00 s; 3.0 MiB of 9.0 MiB are here; look at Glance"},
		{"power", deploying(func(s *situation) { s.node.TargetPowerState, s.node.PowerState = store.PowerOff, store.PowerOn }),
			"told to bring it to power off, and reports power on"},
		{"step", deploying(func(s *situation) {
			s.node.DeployStep = store.Dict{"interface": "deploy", "step": "write_image"}
			s.node.DriverInternalInfo["deploy_step_index"], s.node.DriverInternalInfo["deploy_steps"] = 1, []any{1, 2, 3}
		}), "here has been running step deploy.write_image (2 of 3) for 8 min 00 s"},
		{"step", deploying(moments(local.Moment{Kind: momentStep, Turn: true})), "at work for node deployment for 1 min 00 s"},
		{"cut short", func(s *situation) { s.node.ProvisionState = store.Cleaning }, "goes on within seconds"},
		{"agent refused", waiting(moments(local.Moment{Kind: momentHeartbeat, Text: "refused", Result: "Invalid token", Failed: true})),
			"the newest one was refused: Invalid token"},
		{"installer", waiting(func(s *situation) {
			s.node.DeployInterface, s.node.DriverInternalInfo[keyInstallStatus] = "anaconda", installStarted
			heartbeat(7 * time.Minute)(s)
		}), "the machine said 7 min 00 s ago that it installs itself; look at the machine's console"},
		{"BMC at work", waiting(func(s *situation) {
			s.node.DriverInternalInfo["deployment_polling"] = true
			s.node.DeployStep = store.Dict{"interface": "raid", "step": "apply_configuration"}
		}), "its BMC to end step raid.apply_configuration; the BMC changes the machine by itself"},
		{"agent at work", waiting(heartbeat(12*time.Second, local.Moment{Kind: "agent", Text: "list of commands",
			Result: "execute_deploy_step RUNNING, 4ms"}, progress("writing the image", "3.0 MiB of 9.0 MiB", time.Second))),
			"its agent to end its command; the agent is at it and was heard 12 s ago; writing the image: 3.0 MiB of 9.0 MiB"},
		{"agent heard", waiting(heartbeat(12 * time.Second)), "the agent was heard 12 s ago"},
		{"agent silent", waiting(heartbeat(7 * time.Minute)), "last heard 7 min 00 s ago: it hangs, has lost its network, or was " +
			"switched off; look at the machine's console, and whether it reaches ironic-api; the node is failed in 22 min 00 s"},
		{"machine off", waiting(func(s *situation) { s.node.PowerState = store.PowerOff }), "the machine is off"},
		{"agent mute", waiting(moments(local.Moment{Kind: momentLookup})), "it asked who it is 40 s ago, but sent no heartbeat"},
		{"ramdisk inspects", waiting(func(s *situation) {
			s.node.ProvisionState, s.node.InspectionStartedAt = store.InspectWait, before(9*time.Minute)
			s.cfg.InspectWaitTimeout = 30 * time.Minute
		}), "ends the inspection; the node is failed in 21 min 00 s if nothing is heard"},
		{"service inspects", waiting(func(s *situation) {
			s.node.ProvisionState, s.node.InspectInterface, s.node.InspectionStartedAt = store.InspectWait, "inspector", before(9*time.Minute)
			s.cfg.InspectWaitTimeout, s.cfg.InspectionCheckInterval = 30*time.Minute, time.Minute
		}), "ironic-inspector to end its inspection; that service inspects the machine, and is asked every 1 min 00 s how far it is; ask it"},
		{"service inspects", waiting(func(s *situation) {
			s.node.ProvisionState, s.node.InspectInterface = store.InspectWait, "inspector"
		}), "that service inspects the machine; ask it: openstack baremetal introspection status"},
		{"agent never heard", waiting(nil), "nothing was heard of it for 8 min 00 s; look at the machine's console"},
		// A heartbeat from before the machine was switched on is that of an agent of long ago.
		{"agent never heard", waiting(heartbeat(11 * time.Minute)), "its agent to boot"},
		{"agent never heard", waiting(moments(bmc)), "its BMC failed meanwhile: POST"},
		{"no free worker", func(s *situation) { s.node.LastError = noFreeWorkers }, "workers_pool_size"},
		{"no free worker", moments(local.Moment{Kind: momentRequest, Failed: true, Result: errNoWorker().Error()}), "all workers"},
		{"concurrency limit", moments(local.Moment{Kind: momentRequest, Failed: true,
			Result: "The concurrent action limit for cleaning has been reached."}), "max_concurrent_deploy"},
		{"held", func(s *situation) {
			s.node.ProvisionState, s.node.ServiceStep = store.ServiceHold, store.Dict{"interface": "power", "step": "hold"}
		}, `it is "service hold": its step power.hold holds it until somebody says go on`},
		{"rescued", func(s *situation) { s.node.ProvisionState = store.Rescue }, "openstack baremetal node unrescue"},
		{"failed", func(s *situation) { s.node.ProvisionState, s.node.LastError = store.DeployFail, "no image" },
			`it is "deploy failed": no image`},
		{"refused", moments(local.Moment{Kind: momentRequest, Text: "do_node_deploy", Failed: true, Result: "no kernel"}),
			"do_node_deploy was refused 40 s ago: no kernel"},
		{"silent BMC", moments(bmc), "it is asked again by itself"},
		// What happened in an earlier state explains nothing.
		{"nothing", moments(local.Moment{Kind: momentRequest, Failed: true, Result: "no kernel"}, local.Moment{Kind: momentState}), ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := &situation{now: now, owner: "here", worker: &workerView{}, cfg: Config{Host: "here", HeartbeatTimeout: time.Minute,
				Live: Live{DeployCallbackTimeout: 30 * time.Minute}}, node: &store.Node{UUID: "n1", Driver: "redfish", ConductorGroup: "rack",
				ProvisionState: store.Active, ProvisionUpdatedAt: before(8 * time.Minute), DriverInternalInfo: store.Dict{}}}
			c.set(s)
			r := s.reason()
			if text := strings.Join([]string{r.WaitsFor, r.Because, r.Try}, "; "); r.Rule != c.rule || !strings.Contains(text, c.says) {
				t.Errorf("got %q: %s; want %q to say %q", r.Rule, text, c.rule, c.says)
			}
		})
	}
}
