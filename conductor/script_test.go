package conductor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

// behaviour is how scripted hardware acts. What is nil acts as the fake interfaces do: at once and well.
type behaviour struct {
	finishInstall                                                      func(*drivers.Task) error
	powerValidate, networkValidate, managementValidate, deployValidate func() error

	// powerState is asked for the BMC's state; without it the BMC does as it was told.
	powerState func() (string, error)
	// powerStateOf is powerState for tests in which nodes differ.
	powerStateOf func(ctx context.Context, n *store.Node) (string, error)
	// controller names what a node shares with others.
	controller func(n *store.Node) string
	// setPower is told of on, off, soft ones and reboots.
	setPower func(ctx context.Context, state string) error
	noSync   bool
	health   func() (string, error)

	// steps are those of the deploy interface; without a list of a kind it offers those of the fake one.
	steps map[drivers.StepKind][]drivers.Step

	prepare, cleanUp, tearDown, takeOver, tearDownCleaning, vifAttach, vifDetach func(*drivers.Task) error
	prepareCleaning                                                              func(*drivers.Task) (drivers.Outcome, error)

	prepareService  func(*drivers.Task) (drivers.Outcome, error)
	tearDownService func(*drivers.Task) error

	rescue                                           func(*drivers.Task) (drivers.Outcome, error)
	rescueValidate, unrescue, rescueCleanUp, tenants func(*drivers.Task) error

	// inBand are the agent's steps, listed at a refresh.
	inBand  map[drivers.StepKind][]drivers.Step
	refresh func() error
	execute func(step store.Dict) (drivers.Outcome, error)
	resume  func(step store.Dict) (drivers.Outcome, error)
	status  func() (drivers.StepStatus, error)
	// finalize is told that a rescue ramdisk gets its password.
	finalize func(*drivers.Task) error

	setBootDevice func(ctx context.Context) error
	bootMode      func() (string, error)
	setBootMode   func(string) error
	secureBoot    func() (bool, error)
	setSecureBoot func(bool) error
	vendor        func() (string, error)

	inspectValidate func() error
	inspect         func(*drivers.Task) (drivers.Outcome, error)
	abortInspection func(*drivers.Task) error
	findings        func(inventory, pluginData store.Dict) error

	// What a service that inspects does; it takes the node into its own hands unless it is told not to.
	bootsForService bool
	begin           func(context.Context) error
	standing        func() (drivers.Standing, error)
	found           func() (inventory, pluginData store.Dict, err error)
	conclude        func(*drivers.Task) error
	forward         func(inventory, pluginData store.Dict) error

	attachVolumes, detachVolumes func() error

	startConsole, stopConsole func() error
	// stopContainers is told that the worker ends all console containers; without it nobody notes that.
	stopContainers func() error
	sensors        func(n *store.Node) (drivers.SensorData, error)
}

// script is scripted hardware: power, management, deploy with an agent, network and rescue of all nodes of a test. It
// notes what was asked of it.
type script struct {
	mu    sync.Mutex
	acts  behaviour
	calls []string
	power map[string]string // the BMC's state by node
}

func newScript() *script { return &script{power: map[string]string{}} }

// use changes how the hardware acts from now on, and forgets what was asked of it.
func (s *script) use(b behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acts, s.calls = b, nil
}

// called notes what is asked and returns how to act.
func (s *script) called(what string) behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	if what != "" {
		s.calls = append(s.calls, what)
	}
	return s.acts
}

// did returns what was asked, in order; only names those of interest when given.
func (s *script) did(only ...string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.calls), func(c string) bool { return len(only) > 0 && !slices.Contains(only, c) })
}

func (s *script) bmc(node string, set string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set != "" {
		s.power[node] = set
	}
	return s.power[node]
}

// catalog is the build's catalog with the scripted interfaces in place of the fake ones.
func (s *script) catalog() *drivers.Catalog {
	c := catalog.New(catalog.Parts{})
	for typ, impl := range map[drivers.InterfaceType]drivers.Interface{
		drivers.TypePower:      &scriptPower{fake.NewPower(fake.Config{}), s},
		drivers.TypeManagement: &scriptManagement{fake.NewManagement(fake.Config{}), s},
		drivers.TypeDeploy:     &scriptDeploy{fake.NewDeploy(fake.Config{}), s},
		drivers.TypeRescue:     &scriptRescue{fake.NewRescue(fake.Config{}), s},
		drivers.TypeConsole:    &scriptConsole{fake.NewConsole(), s},
		drivers.TypeInspect:    &scriptInspect{fake.NewInspect(fake.Config{}), s},
	} {
		c.Implementations[typ]["fake"] = impl
	}
	c.Implementations[drivers.TypeConsole]["expiring"] = &scriptExpiring{scriptConsole{fake.NewConsole(), s}}
	c.Implementations[drivers.TypeInspect]["inspector"] = &scriptDelegate{scriptInspect{fake.NewInspect(fake.Config{}), s}}
	c.Implementations[drivers.TypeBoot]["retrying"] = &scriptBoot{fake.NewBoot(fake.Config{}), s}
	c.Implementations[drivers.TypeDeploy]["choosing"] = &scriptChooser{scriptDeploy{fake.NewDeploy(fake.Config{}), s}}
	c.Implementations[drivers.TypeDeploy]["installing"] = &scriptInstaller{scriptDeploy{fake.NewDeploy(fake.Config{}), s}}
	c.Implementations[drivers.TypeNetwork]["noop"] = &scriptNetwork{noop.NewNetwork(), s}
	c.Implementations[drivers.TypeStorage]["noop"] = &scriptStorage{noop.NewStorage(), s}
	return c
}

func maybe(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

func maybeOn(f func(*drivers.Task) error, t *drivers.Task) error {
	if f == nil {
		return nil
	}
	return f(t)
}

type scriptConsole struct {
	*fake.Console
	s *script
}

func (c *scriptConsole) StartConsole(context.Context, *drivers.Task) error {
	return maybe(c.s.called("start console").startConsole)
}

func (c *scriptConsole) StopConsole(context.Context, *drivers.Task) error {
	return maybe(c.s.called("stop console").stopConsole)
}

func (c *scriptConsole) ConsoleAccess(context.Context, *drivers.Task) (drivers.ConsoleAccess, error) {
	return drivers.ConsoleAccess{Type: "socat", URL: "tcp://192.0.2.1:10000"}, nil
}

// scriptExpiring is a console whose time is over when its node says so.
type scriptExpiring struct{ scriptConsole }

func (*scriptExpiring) Expired(n *store.Node) bool {
	return n.DriverInternalInfo.String("console") == "expired"
}

// StopAll is Consoles.
func (s *script) StopAll(context.Context) error {
	stop := s.called("").stopContainers
	if stop == nil {
		return nil
	}
	s.called("stop containers")
	return stop()
}

type scriptPower struct {
	*fake.Power
	s *script
}

func (p *scriptPower) Validate(context.Context, *drivers.Task) error {
	return maybe(p.s.called("").powerValidate)
}

func (p *scriptPower) PowerState(ctx context.Context, t *drivers.Task) (string, error) {
	acts := p.s.called("power.read")
	if acts.powerStateOf != nil {
		return acts.powerStateOf(ctx, t.Node)
	}
	if acts.powerState != nil {
		return acts.powerState()
	}
	if known := p.s.bmc(t.Node.UUID, ""); known != "" {
		return known, nil
	}
	return t.Node.PowerState, nil
}

func (p *scriptPower) Controller(n *store.Node) string {
	if f := p.s.called("").controller; f != nil {
		return f(n)
	}
	return ""
}

func (p *scriptPower) act(ctx context.Context, t *drivers.Task, state string) error {
	if f := p.s.called("power " + state).setPower; f != nil {
		if err := f(ctx, state); err != nil {
			return err
		}
	}
	p.s.bmc(t.Node.UUID, targetPower(state))
	return nil
}

func (p *scriptPower) SetPowerState(ctx context.Context, t *drivers.Task, state string, _ time.Duration) error {
	return p.act(ctx, t, state)
}

func (p *scriptPower) Reboot(ctx context.Context, t *drivers.Task, _ time.Duration) error {
	return p.act(ctx, t, store.Reboot)
}

func (p *scriptPower) SupportsPowerSync(*drivers.Task) bool { return !p.s.called("").noSync }

type scriptManagement struct {
	*fake.Management
	s *script
}

func (m *scriptManagement) Validate(context.Context, *drivers.Task) error {
	return maybe(m.s.called("").managementValidate)
}

func (m *scriptManagement) Sensors(_ context.Context, t *drivers.Task) (drivers.SensorData, error) {
	return m.s.called("").sensors(t.Node)
}

func (m *scriptManagement) SetBootDevice(ctx context.Context, t *drivers.Task, device string, persistent bool) error {
	if f := m.s.called("").setBootDevice; f != nil {
		return f(ctx)
	}
	return m.Management.SetBootDevice(ctx, t, device, persistent)
}

func (m *scriptManagement) BootMode(ctx context.Context, t *drivers.Task) (string, error) {
	if f := m.s.called("").bootMode; f != nil {
		return f()
	}
	return m.Management.BootMode(ctx, t)
}

func (m *scriptManagement) SetBootMode(ctx context.Context, t *drivers.Task, mode string) error {
	if f := m.s.called("boot mode " + mode).setBootMode; f != nil {
		return f(mode)
	}
	return m.Management.SetBootMode(ctx, t, mode)
}

func (m *scriptManagement) SecureBoot(ctx context.Context, t *drivers.Task) (bool, error) {
	if f := m.s.called("").secureBoot; f != nil {
		return f()
	}
	return m.Management.SecureBoot(ctx, t)
}

func (m *scriptManagement) SetSecureBoot(ctx context.Context, t *drivers.Task, on bool) error {
	if f := m.s.called("").setSecureBoot; f != nil {
		return f(on)
	}
	return m.Management.SetSecureBoot(ctx, t, on)
}

func (m *scriptManagement) Health(context.Context, *drivers.Task) (string, error) {
	if health := m.s.called("").health; health != nil {
		return health()
	}
	return "", nil
}

func (m *scriptManagement) DetectVendor(ctx context.Context, t *drivers.Task) (string, error) {
	if f := m.s.called("").vendor; f != nil {
		return f()
	}
	return m.Management.DetectVendor(ctx, t)
}

type scriptNetwork struct {
	*noop.Network
	s *script
}

func (n *scriptNetwork) Validate(context.Context, *drivers.Task) error {
	return maybe(n.s.called("").networkValidate)
}

func (n *scriptNetwork) ConfigureTenantNetworks(_ context.Context, t *drivers.Task) error {
	return maybeOn(n.s.called("").tenants, t)
}

func (n *scriptNetwork) VIFAttach(_ context.Context, t *drivers.Task, vif drivers.VIF) error {
	said := "attach " + vif.ID
	if to := vif.Port + vif.Portgroup; to != "" {
		said += " to " + to
	}
	if vif.Name != nil {
		said += fmt.Sprintf(" called %s %v", *vif.Name, vif.Tags)
	}
	return maybeOn(n.s.called(said).vifAttach, t)
}

func (n *scriptNetwork) VIFList(ctx context.Context, t *drivers.Task) ([]string, error) {
	ports, err := t.Worker.Ports(ctx, t)
	var ids []string
	for _, p := range ports {
		if id := p.InternalInfo.String("tenant_vif_port_id"); id != "" {
			ids = append(ids, id)
		}
	}
	return ids, err
}

func (n *scriptNetwork) VIFDetach(_ context.Context, t *drivers.Task, vif string) error {
	return maybeOn(n.s.called("detach "+vif).vifDetach, t)
}

type scriptRescue struct {
	drivers.Interface
	s *script
}

func (r *scriptRescue) Validate(_ context.Context, t *drivers.Task) error {
	return maybeOn(r.s.called("").rescueValidate, t)
}

func (r *scriptRescue) Rescue(_ context.Context, t *drivers.Task) (drivers.Outcome, error) {
	if f := r.s.called("rescue").rescue; f != nil {
		return f(t)
	}
	return drivers.Done, nil
}

func (r *scriptRescue) Unrescue(_ context.Context, t *drivers.Task) error {
	return maybeOn(r.s.called("unrescue").unrescue, t)
}

func (r *scriptRescue) CleanUp(_ context.Context, t *drivers.Task) error {
	return maybeOn(r.s.called("rescue.clean up").rescueCleanUp, t)
}

// step is a step of the deploy interface that ends as it is told to.
func step(name string, priority int, outcome drivers.Outcome, err error) drivers.Step {
	return drivers.Step{Interface: drivers.TypeDeploy, Name: name, Priority: priority,
		Run: func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) { return outcome, err }}
}

// clock is the worker's time, which passes only as far as a test moves it forward, and its wall clock, which a test also sets: else a
// lease would run out on a machine that is slow enough. Unless it is stopped, the wall clock moves on a little with each look at it,
// so that no two moments are one.
type clock struct {
	mu      sync.Mutex
	began   time.Time
	ahead   time.Duration
	stepped time.Duration
	stopped bool
}

func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began.IsZero() {
		c.began = time.Now()
	}
	if !c.stopped {
		c.began = c.began.Add(time.Microsecond)
	}
	return c.began.Add(c.ahead + c.stepped)
}

func (c *clock) uptime() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Hour + c.ahead
}

// step sets the wall clock; time goes on as before.
func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stepped += d
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// equal fails the test when two values print differently.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}
