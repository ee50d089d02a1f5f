package conductor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// rule knows one reason why a node may wait. The first rule that applies is told: those about who is to act come before
// those about what is done.
type rule struct {
	name    string
	applies func(*situation) bool
	tell    func(*situation) Reason
}

func (s *situation) reason() Reason {
	for _, r := range explanations {
		if r.applies(s) {
			told := r.tell(s)
			told.Rule = r.name
			return told
		}
	}
	return Reason{Rule: "nothing", Because: fmt.Sprintf("it is %q, where nobody has to act", s.node.ProvisionState)}
}

var explanations = slices.Concat(conductorRules, workRules, agentRules, restRules)

// conductorRules are about the conductors that should look after the node.
var conductorRules = []rule{
	{"database away", func(s *situation) bool { return s.databaseErr != nil }, func(s *situation) Reason {
		return Reason{"", "the database", s.databaseErr.Error(),
			"look at the database server and [database]connection; work goes on by itself once it answers"}
	}},
	{"lock of a dead conductor", func(s *situation) bool { return s.heldElsewhere() && !s.holderAlive }, func(s *situation) Reason {
		seen := "is not registered"
		if !s.holderSeen.IsZero() {
			seen = "gave its last sign of life " + ago(s.now.Sub(s.holderSeen))
		}
		return Reason{"", "conductor " + s.node.Reservation + ", which holds its lock", "that conductor " + seen,
			fmt.Sprintf("start it again, and it goes on with the node; another conductor of the group takes over %s after the last "+
				"sign of life ([conductor]heartbeat_timeout)", s.cfg.HeartbeatTimeout)}
	}},
	{"lock of another conductor", (*situation).heldElsewhere, func(s *situation) Reason {
		return Reason{"", "conductor " + s.node.Reservation + ", which holds its lock", "that conductor is alive and at work on it",
			"run `ironmaster explain` on " + s.node.Reservation}
	}},
	{"conductor stopped", func(s *situation) bool {
		return s.worker == nil && s.busy() && (s.node.Reservation != "" || s.owner == "" || s.owner == s.cfg.Host)
	}, func(s *situation) Reason {
		return Reason{"", "conductor " + s.cfg.Host, "it does not run, or not with this configuration",
			"start it: systemctl start ironmaster-conductor; it goes on with the node"}
	}},
	{"registration lapsed", func(s *situation) bool { return s.worker != nil && s.worker.lease != "" }, func(s *situation) Reason {
		return Reason{"", "its conductor to be registered again", s.worker.lease,
			"look at the database: nothing else keeps a conductor from renewing its registration"}
	}},
	{"conductor leaving", func(s *situation) bool { return s.worker != nil && s.worker.leaving && s.busy() }, func(s *situation) Reason {
		return Reason{"", "its conductor to end", "conductor " + s.cfg.Host + " is stopping or draining",
			"nothing: another conductor, or this one after its start, goes on"}
	}},
	{"no conductor", func(s *situation) bool { return s.owner == "" && s.busy() }, func(s *situation) Reason {
		return Reason{"", "a conductor", fmt.Sprintf("none that is alive serves driver %s in conductor group %q", s.node.Driver,
			s.node.ConductorGroup), "start one with this driver in [DEFAULT]enabled_hardware_types and this [conductor]conductor_group"}
	}},
	{"another conductor's", func(s *situation) bool { return s.node.Reservation == "" && s.owner != s.cfg.Host && s.busy() },
		func(s *situation) Reason {
			return Reason{"", "conductor " + s.owner, "the hash ring gives the node to that conductor",
				"run `ironmaster explain` on " + s.owner}
		}},
	{"broker away", func(s *situation) bool { return s.worker != nil && s.worker.deaf != "" && s.busy() }, func(s *situation) Reason {
		return Reason{"", "the " + s.worker.deaf, "the conductor is not connected to it, so neither requests nor heartbeats arrive",
			"look at the server and at [DEFAULT]transport_url; the conductor connects again by itself"}
	}},
}

// workRules are about a node that this conductor is at work on, or could be.
var workRules = []rule{
	{"maintenance", func(s *situation) bool { return s.node.Maintenance && s.node.Reservation == "" }, func(s *situation) Reason {
		why := "the node is in maintenance"
		if r := s.node.MaintenanceReason; r != nil && *r != "" {
			why += ": " + *r
		}
		try := "when the cause is gone: openstack baremetal node maintenance unset " + s.node.UUID
		if s.node.Fault == store.FaultPower {
			try = "mend the way to the BMC, and its credentials in driver_info; the node comes out of maintenance by itself"
		}
		return Reason{"", "an operator", why, try}
	}},
	{"BMC", func(s *situation) bool { return s.held() && s.failing(string(drivers.WithBMC)) != nil }, func(s *situation) Reason {
		m := s.failing(string(drivers.WithBMC))
		return Reason{"", "its BMC", fmt.Sprintf("%s failed %s: %s", m.Text, ago(s.now.Sub(m.Last)), m.Result),
			"see whether the BMC is reachable from this host, and whether its address, user name and password in driver_info " +
				"are right: openstack baremetal node validate " + s.node.UUID}
	}},
	{"other images", func(s *situation) bool { return s.held() && s.doing("waiting for other images") }, func(s *situation) Reason {
		return Reason{"", "other images", "as many are being fetched as [DEFAULT]image_download_concurrency allows",
			"nothing, or a larger image_download_concurrency"}
	}},
	{"image stalled", func(s *situation) bool {
		m := s.fetching()
		return s.held() && m != nil && s.now.Sub(m.Last) > stalled
	}, func(s *situation) Reason {
		m := s.fetching()
		return Reason{"", "its image", fmt.Sprintf("nothing has arrived for %s; %s are here", Span(s.now.Sub(m.Last)),
			cmp.Or(m.Result, "no bytes")), "look at Glance or the web server that the image comes from"}
	}},
	{"image", func(s *situation) bool { return s.held() && s.fetching() != nil }, func(s *situation) Reason {
		m := s.fetching()
		doing := "fetching it"
		if m.Kind == momentProgress {
			doing = m.Text
		}
		return Reason{"", "its image", fmt.Sprintf("the conductor is %s: %s", doing, cmp.Or(m.Result, "just begun")),
			"nothing; a network or disk that is too slow shows in `ironmaster events`"}
	}},
	{"power", func(s *situation) bool { return s.held() && s.node.TargetPowerState != "" }, func(s *situation) Reason {
		return Reason{"", "its power state", fmt.Sprintf("the BMC was told to bring it to %s, and reports %s", s.node.TargetPowerState,
			cmp.Or(s.node.PowerState, "nothing")), "look at the machine's console; the wait ends with " +
			"[conductor]power_state_change_timeout"}
	}},
	{"step", (*situation).held, func(s *situation) Reason {
		doing := "at work for " + cmp.Or(s.purpose, "a request")
		if step := s.step(); step != "" {
			doing = "running step " + step
		}
		return Reason{"", "its conductor", fmt.Sprintf("%s has been %s for %s", s.cfg.Host, doing, Span(s.sinceTurn())),
			"nothing, as far as is known; the timeline shows whether it moves"}
	}},
	{"cut short", func(s *situation) bool { return slices.Contains(store.StuckStates(), s.node.ProvisionState) },
		func(s *situation) Reason {
			return Reason{"", "its conductor to go on", "the work on it was cut short, and nobody holds its lock",
				"nothing: it goes on within seconds; when it does not, look into the conductor's log"}
		}},
}

// pollInterval is how often a BMC is asked about the running step.
func (s *situation) pollInterval() time.Duration {
	if runningStep(s.node).String("interface") == string(drivers.TypeRAID) {
		return s.cfg.RAIDStatusInterval
	}
	return s.cfg.FirmwareStatusInterval
}

// stalled is how long a download may bring nothing before it is said to stand still.
const stalled = 30 * time.Second

// silent is how long an agent that is well keeps quiet at most: [api]ramdisk_heartbeat_timeout's default, after which it
// sends a sign of life again.
const silent = 5 * time.Minute

// agentRules are about a node that waits for its agent.
var agentRules = []rule{
	{"service inspects", func(s *situation) bool {
		return s.node.ProvisionState == store.InspectWait && s.node.InspectInterface == "inspector" && !s.held()
	}, func(s *situation) Reason {
		because := "that service inspects the machine"
		if every := s.cfg.InspectionCheckInterval; every > 0 {
			because += ", and is asked every " + Span(every) + " how far it is"
		}
		return Reason{"", "ironic-inspector to end its inspection", because, "ask it: openstack baremetal introspection status " + s.node.UUID +
			"; look at its log and at the machine's console; openstack baremetal node abort " + s.node.UUID + " ends the inspection" + s.deadline()}
	}},
	{"ramdisk inspects", func(s *situation) bool { return s.node.ProvisionState == store.InspectWait && !s.held() },
		func(s *situation) Reason {
			return Reason{"", "its ramdisk to tell what it found", fmt.Sprintf("the machine was told to boot its ramdisk, and nothing was "+
				"heard of it for %s", Span(s.sinceTurn())), "look at the machine's console: whether it boots the ramdisk, gets an address, and " +
				"reaches ironic-api; openstack baremetal node abort " + s.node.UUID + " ends the inspection" + s.deadline()}
		}},
	{"BMC at work", func(s *situation) bool { return s.waits() && polledStep(s.node) }, func(s *situation) Reason {
		return Reason{"", "its BMC to end step " + cmp.Or(s.step(), "of its own"), "the BMC changes the machine by itself, and is asked every " +
			Span(s.pollInterval()) + " how far it is", "look at the tasks of the BMC, and at the machine's console" + s.deadline()}
	}},
	{"agent refused", func(s *situation) bool {
		m := s.newest(momentHeartbeat)
		return s.waits() && m != nil && m.Failed && m.Text == "refused"
	}, func(s *situation) Reason {
		return Reason{"", "a heartbeat that it can take", "the newest one was refused: " + s.newest(momentHeartbeat).Result,
			"boot the machine again: an agent of an earlier boot, or of another conductor, has a token that is no longer good"}
	}},
	{"installer", (*situation).installs, func(s *situation) Reason {
		return Reason{"", "its installer to end", fmt.Sprintf("the machine said %s that it installs itself", ago(s.quiet())),
			"look at the machine's console: an installer says no more until its end" + s.deadline()}
	}},
	{"agent at work", func(s *situation) bool { return s.waits() && s.agentRuns() != "" && s.quiet() < silent },
		func(s *situation) Reason {
			because := fmt.Sprintf("the agent is at it and was heard %s", ago(s.quiet()))
			if m := s.newest(momentProgress); m != nil && m.Result != "" {
				because += fmt.Sprintf("; %s: %s", m.Text, m.Result)
			}
			return Reason{"", "its agent to end " + s.agentRuns(), because, "nothing: the agent's next heartbeat brings it on"}
		}},
	{"agent heard", func(s *situation) bool { return s.waits() && s.quiet() < silent }, func(s *situation) Reason {
		return Reason{"", "the next heartbeat of its agent", fmt.Sprintf("the agent was heard %s", ago(s.quiet())),
			"nothing: heartbeats come at least every 5 minutes"}
	}},
	{"agent silent", func(s *situation) bool { return s.waits() && s.heard() }, func(s *situation) Reason {
		return Reason{"", "its agent", fmt.Sprintf("the agent was last heard %s: it hangs, has lost its network, or was switched off",
			ago(s.quiet())), "look at the machine's console, and whether it reaches ironic-api" + s.deadline()}
	}},
	{"machine off", func(s *situation) bool { return s.waits() && s.node.PowerState == store.PowerOff }, func(s *situation) Reason {
		return Reason{"", "its agent to boot", "the machine is off", "openstack baremetal node power on " + s.node.UUID + s.deadline()}
	}},
	{"agent mute", func(s *situation) bool { return s.waits() && s.newest(momentLookup) != nil }, func(s *situation) Reason {
		return Reason{"", "the first heartbeat of its agent", fmt.Sprintf("the agent has booted, for it asked who it is %s, but sent no "+
			"heartbeat yet", ago(s.now.Sub(s.newest(momentLookup).Last))), "look at the agent's log on the machine's console" + s.deadline()}
	}},
	{"agent never heard", (*situation).waits, func(s *situation) Reason {
		because := fmt.Sprintf("the machine was told to boot its ramdisk, and nothing was heard of it for %s", Span(s.sinceTurn()))
		if m := s.failing(string(drivers.WithBMC)); m != nil {
			because = fmt.Sprintf("%s; its BMC failed meanwhile: %s: %s", because, m.Text, m.Result)
		}
		return Reason{"", "its agent to boot", because, "look at the machine's console: whether it boots the ramdisk, gets an address, " +
			"and reaches ironic-api and this conductor's image server" + s.deadline()}
	}},
}

// restRules are about a node that nobody is at work on.
var restRules = []rule{
	{"no free worker", func(s *situation) bool {
		return s.refused("lack of free conductor workers") || s.node.LastError == noFreeWorkers
	}, func(s *situation) Reason {
		return Reason{"", "its request to be repeated", "all workers of the conductor were busy when it came",
			"ask again; [conductor]workers_pool_size is how much a conductor does at once"}
	}},
	{"concurrency limit", func(s *situation) bool { return s.refused("concurrent action limit") }, func(s *situation) Reason {
		return Reason{"", "its request to be repeated", "as many nodes were being deployed or cleaned as the cloud allows",
			"ask again; [conductor]max_concurrent_deploy and max_concurrent_clean are the limits"}
	}},
	{"failed", func(s *situation) bool {
		return store.FailedState(s.node.ProvisionState) || s.node.ProvisionState == store.ErrorState
	}, func(s *situation) Reason {
		return Reason{"", "an operator", fmt.Sprintf("it is %q: %s", s.node.ProvisionState, cmp.Or(s.node.LastError, "no error was kept")),
			"remove the cause, and ask for what is wanted again"}
	}},
	{"held", func(s *situation) bool { return strings.HasSuffix(s.node.ProvisionState, " hold") }, func(s *situation) Reason {
		return Reason{"", "an operator", fmt.Sprintf("it is %q: its step %s holds it until somebody says go on", s.node.ProvisionState,
			s.step()), "openstack baremetal node unhold " + s.node.UUID}
	}},
	{"rescued", func(s *situation) bool { return s.node.ProvisionState == store.Rescue }, func(s *situation) Reason {
		return Reason{"", "its user", "it runs its rescue ramdisk, which the password of the request opens",
			"when the machine is in order: openstack baremetal node unrescue " + s.node.UUID}
	}},
	{"refused", func(s *situation) bool { return s.refused("") }, func(s *situation) Reason {
		m := s.newest(momentRequest)
		return Reason{"", "its request to be put right", fmt.Sprintf("%s was refused %s: %s", m.Text, ago(s.now.Sub(m.Last)), m.Result),
			"ask again with what the refusal names put right"}
	}},
	{"silent BMC", func(s *situation) bool { return s.failing(string(drivers.WithBMC)) != nil }, func(s *situation) Reason {
		m := s.failing(string(drivers.WithBMC))
		return Reason{"", "its BMC, which the conductor asks for the power state", fmt.Sprintf("%s failed %s: %s", m.Text,
			ago(s.now.Sub(m.Last)), m.Result), "see whether the BMC is reachable from this host, and takes the user name and password of driver_info; " +
			"it is asked again by itself"}
	}},
}
