package room

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// defaultSlowness is how late slow answers are.
const defaultSlowness = 2 * time.Second

// Faults are the ills of a machine, each with its probability between 0 and 1. What is drawn depends only on the room's
// seed, the machine's number and how often that machine was asked before.
type Faults struct {
	// Slow delays an answer of the BMC by SlowBy, 2 s by default.
	Slow   float64
	SlowBy time.Duration
	// Silent makes the BMC accept a request and never answer it.
	Silent float64
	// ServerError makes the BMC answer a request with 503 without acting on it.
	ServerError float64
	// Garbage makes the BMC answer a request with 200 and a page that is not Redfish.
	Garbage float64
	// DropSession makes the BMC forget every session before a request, which it then answers with 401.
	DropSession float64
	// StuckPower makes a power request be accepted and never happen.
	StuckPower float64
	// WrongPassword, drawn once per machine, makes the BMC expect another password than the inventory says.
	WrongPassword float64
	// CommandFailure makes a command of the agent that runs in the background fail.
	CommandFailure float64
	// NoISCSI, when it is not 0, leaves the extension iscsi out of the agent, as ironic-python-agent has done since Xena.
	NoISCSI float64
	// LostISCSI makes the agent say that it exposes its disk when it does not.
	LostISCSI float64
	// NoHeartbeat, drawn at each start of an agent, makes it look itself up and then keep quiet.
	NoHeartbeat float64
}

func checkProbabilities(known map[string]*float64) error {
	for name, probability := range known {
		if !(*probability >= 0 && *probability <= 1) {
			return fmt.Errorf("%s: %v is not between 0 and 1", name, *probability)
		}
	}
	return nil
}

func (f *Faults) probabilities() map[string]*float64 {
	return map[string]*float64{
		"slow": &f.Slow, "silent": &f.Silent, "server-error": &f.ServerError, "garbage": &f.Garbage,
		"drop-session": &f.DropSession, "stuck-power": &f.StuckPower, "wrong-password": &f.WrongPassword,
		"command-failure": &f.CommandFailure, "no-heartbeat": &f.NoHeartbeat, "no-iscsi": &f.NoISCSI, "lost-iscsi": &f.LostISCSI,
	}
}

func (f *Faults) check() error {
	if f.SlowBy < 0 {
		return fmt.Errorf("faults: slow-by: %s is negative", f.SlowBy)
	}
	if err := checkProbabilities(f.probabilities()); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	return nil
}

// Quirks are the shares, between 0 and 1, of machines whose BMC is of a particular, legal kind.
type Quirks struct {
	// PatchMedia BMCs offer no InsertMedia and EjectMedia actions: virtual media are changed by PATCH, as on Lenovo XCC.
	PatchMedia float64
	// SystemMedia BMCs have their virtual media under the System and not under the Manager, as newer schemas say.
	SystemMedia float64
	// BasicOnly BMCs refuse to make sessions and know only basic authentication, as sushy-tools does.
	BasicOnly float64
	// RequireETag BMCs answer 428 to a PATCH without If-Match.
	RequireETag float64
}

func (q *Quirks) shares() map[string]*float64 {
	return map[string]*float64{
		"patch-media": &q.PatchMedia, "system-media": &q.SystemMedia, "basic-only": &q.BasicOnly, "require-etag": &q.RequireETag,
	}
}

func (q *Quirks) check() error {
	if err := checkProbabilities(q.shares()); err != nil {
		return fmt.Errorf("quirks: %w", err)
	}
	return nil
}

// traits are the quirks that one machine got.
type traits struct {
	patchMedia, systemMedia, basicOnly, requireETag bool
}

func (q Quirks) draw(seed uint64, number int) traits {
	dice := newDice(seed, number, "quirks")
	return traits{
		patchMedia:  dice.roll(q.PatchMedia),
		systemMedia: dice.roll(q.SystemMedia),
		basicOnly:   dice.roll(q.BasicOnly),
		requireETag: dice.roll(q.RequireETag),
	}
}

// dice is one stream of draws.
type dice struct {
	mu     sync.Mutex
	source *rand.Rand
}

func newDice(seed uint64, number int, purpose string) *dice {
	stream := uint64(number) << 8
	for _, letter := range []byte(purpose) {
		stream = stream*1099511628211 ^ uint64(letter)
	}
	return &dice{source: rand.New(rand.NewPCG(seed, stream))}
}

// roll draws one number, whatever the probability is, so that changing one probability leaves the other draws alone.
func (d *dice) roll(probability float64) bool { return d.float() < probability }

func (d *dice) float() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.source.Float64()
}

// faultPlan draws the faults of one machine. Each kind of event has its own stream, so that the number of requests to the
// BMC does not decide which command of the agent fails.
type faultPlan struct {
	mu                              sync.Mutex
	faults                          Faults // guarded by mu
	requests, power, commands, boot *dice
	wrongPassword                   bool
}

func newFaultPlan(faults Faults, seed uint64, number int) *faultPlan {
	setDefault(&faults.SlowBy, defaultSlowness)
	return &faultPlan{
		faults:        faults,
		requests:      newDice(seed, number, "requests"),
		power:         newDice(seed, number, "power"),
		commands:      newDice(seed, number, "commands"),
		boot:          newDice(seed, number, "boot"),
		wrongPassword: newDice(seed, number, "password").roll(faults.WrongPassword),
	}
}

// requestFault is what befalls one request to the BMC.
type requestFault struct {
	delay                                     time.Duration
	silent, serverError, garbage, dropSession bool
}

// now returns the faults that strike at present.
func (p *faultPlan) now() Faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// Strike replaces the machine's faults from now on. A wrong password is drawn once, when the room is opened.
func (m *Machine) Strike(f Faults) error {
	if err := f.check(); err != nil {
		return err
	}
	setDefault(&f.SlowBy, defaultSlowness)
	m.faults.mu.Lock()
	defer m.faults.mu.Unlock()
	m.faults.faults = f
	return nil
}

func (p *faultPlan) request() requestFault {
	var f requestFault
	faults := p.now()
	if p.requests.roll(faults.Slow) {
		f.delay = faults.SlowBy
	}
	f.silent = p.requests.roll(faults.Silent)
	f.serverError = p.requests.roll(faults.ServerError)
	f.garbage = p.requests.roll(faults.Garbage)
	f.dropSession = p.requests.roll(faults.DropSession)
	return f
}

func (p *faultPlan) powerStuck() bool   { return p.power.roll(p.now().StuckPower) }
func (p *faultPlan) commandFails() bool { return p.commands.roll(p.now().CommandFailure) }
func (p *faultPlan) iscsiLost() bool    { return p.commands.roll(p.now().LostISCSI) }
func (p *faultPlan) noHeartbeat() bool  { return p.boot.roll(p.now().NoHeartbeat) }
func (p *faultPlan) heartbeat() float64 { return 0.3 + 0.3*p.boot.float() }
