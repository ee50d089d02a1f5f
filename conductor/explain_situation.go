package conductor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
)

// situation is what the rules go by.
type situation struct {
	now      time.Time
	cfg      Config
	worker   *workerView // nil when the worker of this host does not run
	timeline []local.Moment
	// node is nil while the database is away.
	node        *store.Node
	databaseErr error
	owner       string
	// holderAlive and holderSeen are about the conductor in nodes.reservation.
	holderAlive bool
	holderSeen  time.Time
	// purpose is what this host's lock is for, "" when it has none.
	purpose string
}

// busy tells that somebody has to act on the node.
func (s *situation) busy() bool {
	return s.node.Reservation != "" || store.Unstable(s.node.ProvisionState)
}

func (s *situation) heldElsewhere() bool {
	return s.node.Reservation != "" && !strings.EqualFold(s.node.Reservation, s.cfg.Host)
}

// held tells that this host is at work on the node.
func (s *situation) held() bool { return s.node.Reservation != "" && !s.heldElsewhere() }

// waits tells that the next move is the agent's.
func (s *situation) waits() bool {
	return slices.Contains(heartbeatActs, s.node.ProvisionState) && !s.held()
}

// newest is the latest moment of a kind since the node came into its state, nil when there is none.
func (s *situation) newest(kind string) *local.Moment {
	var newest *local.Moment
	for i := range s.timeline {
		m := &s.timeline[i]
		switch {
		case m.Kind == momentState:
			newest = nil
		case m.Kind == kind && (newest == nil || !m.Last.Before(newest.Last)):
			newest = m
		}
	}
	return newest
}

// failing is the latest exchange with a peer if that failed.
func (s *situation) failing(peer string) *local.Moment {
	if m := s.newest(peer); m != nil && m.Failed {
		return m
	}
	return nil
}

// doing tells that the latest progress was one of these.
func (s *situation) doing(what ...string) bool {
	m := s.newest(momentProgress)
	return m != nil && slices.Contains(what, m.Text)
}

// fetching is where the fetch of the node's image stands, nil when none is under way.
func (s *situation) fetching() *local.Moment {
	begun := s.newest(string(drivers.WithImages))
	if begun == nil || begun.Text != drivers.FetchBegun {
		return nil
	}
	if m := s.newest(momentProgress); m != nil && m.Last.After(begun.Last) {
		return m
	}
	return begun
}

// refused tells that the latest request, since the node came into its state, was refused with a text like this.
func (s *situation) refused(text string) bool {
	m := s.newest(momentRequest)
	return m != nil && m.Failed && strings.Contains(m.Result, text)
}

// agentRuns names what the agent runs, as far as it said so.
func (s *situation) agentRuns() string {
	if m := s.newest(string(drivers.WithAgent)); m == nil || m.Failed || !strings.Contains(m.Result, "RUNNING") {
		return ""
	}
	if step := s.step(); step != "" {
		return "step " + step
	}
	return "its command"
}

// lastHeartbeat is when the row says that the agent was last heard; zero when it never was.
func (s *situation) lastHeartbeat() time.Time {
	at, err := time.Parse(isoMicro, s.node.DriverInternalInfo.String(keyAgentHeartbeat))
	if err != nil {
		return time.Time{}
	}
	return at
}

// quiet is how long nothing was heard of the agent that the node waits for: very long when it never was heard. A heartbeat
// from before the machine was told to boot is another agent's.
func (s *situation) quiet() time.Duration {
	at := s.lastHeartbeat()
	if at.IsZero() || at.Before(s.booted()) {
		return time.Duration(1<<63 - 1)
	}
	return s.now.Sub(at)
}

// booted is when power was last switched, zero when the row does not tell.
func (s *situation) booted() time.Time {
	at, err := time.Parse(isoMicro, s.node.DriverInternalInfo.String(keyPowerChanged))
	if err != nil {
		return time.Time{}
	}
	return at
}

// heard tells that the agent which the node waits for was heard at all.
func (s *situation) heard() bool { return s.quiet() != time.Duration(1<<63-1) }

// sinceTurn is how long ago the last turn was, or the state began when the timeline knows none.
func (s *situation) sinceTurn() time.Duration {
	last := s.node.ProvisionUpdatedAt
	for _, m := range s.timeline {
		if m.Turn && m.At.After(last) {
			last = m.At
		}
	}
	return s.now.Sub(last)
}

// deadline tells when the wait ends by itself.
func (s *situation) deadline() string {
	limit, since := s.cfg.DeployCallbackTimeout, s.node.ProvisionUpdatedAt
	switch s.node.ProvisionState {
	case store.CleanWait:
		limit = s.cfg.CleanCallbackTimeout
	case store.RescueWait:
		limit = s.cfg.RescueCallbackTimeout
	case store.ServiceWait:
		limit = s.cfg.ServiceCallbackTimeout
	case store.InspectWait:
		limit, since = s.cfg.InspectWaitTimeout, s.node.InspectionStartedAt
	}
	if limit <= 0 || since.IsZero() {
		return ""
	}
	return fmt.Sprintf("; the node is failed in %s if nothing is heard", Span(limit-s.now.Sub(since)))
}

// ago is a time in the past as people say it.
func ago(d time.Duration) string { return Span(d) + " ago" }

// Span is a duration as people read it, to the second: 42 s, 3 min 05 s, 2 h 10 min.
func Span(d time.Duration) string {
	d = max(0, d.Round(time.Second))
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h > 0:
		return fmt.Sprintf("%d h %02d min", h, m)
	case m > 0:
		return fmt.Sprintf("%d min %02d s", m, s)
	}
	return fmt.Sprintf("%d s", s)
}

// installs tells that the node's machine has begun to install itself.
func (s *situation) installs() bool {
	return s.node.ProvisionState == store.DeployWait && drivers.InstanceBoot(s.node) == drivers.BootKickstart &&
		s.node.DriverInternalInfo.String(keyInstallStatus) == installStarted
}
