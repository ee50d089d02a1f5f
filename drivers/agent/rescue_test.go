package agent

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

// rescueBoot is a boot interface that has a ramdisk for rescues, or not.
type rescueBoot struct {
	*boot
	missing error
	cleanUp error
}

func (b *rescueBoot) ValidateRescue(context.Context, *drivers.Task) error { return b.missing }

func (b *rescueBoot) CleanUpRamdisk(context.Context, *drivers.Task) error {
	*b.calls = append(*b.calls, "clean_up_ramdisk")
	return b.cleanUp
}

func (b *rescueBoot) CleanUpInstance(context.Context, *drivers.Task) error {
	*b.calls = append(*b.calls, "clean_up_instance")
	return nil
}

// tenantNetwork notes when a node is connected to its tenant.
type tenantNetwork struct {
	*noop.Network
	calls *[]string
}

func (n tenantNetwork) ConfigureTenantNetworks(context.Context, *drivers.Task) error {
	*n.calls = append(*n.calls, "configure_tenant_networks")
	return nil
}

func (n tenantNetwork) UnconfigureTenantNetworks(context.Context, *drivers.Task) error {
	*n.calls = append(*n.calls, "unconfigure_tenant_networks")
	return nil
}

// rescueRig is a node in the middle of a rescue.
func rescueRig(t *testing.T) (*rig, *rescueBoot, *Rescue) {
	t.Helper()
	n := deployNode()
	n.InstanceUUID = "i1"
	n.InstanceInfo[drivers.KeyRescuePassword], n.InstanceInfo[drivers.KeyHashedRescuePassword] = "open sesame", "$5$salt$hash"
	g := newRig(t, quick(), n)
	b := &rescueBoot{boot: g.boot}
	g.task.Hardware.Boot, g.task.Hardware.Network = b, tenantNetwork{noop.NewNetwork(), &g.calls}
	return g, b, NewRescue(quick())
}

func TestRescueIsValidated(t *testing.T) {
	noRamdisk := store.Errorf(store.MissingParameterValue, "no rescue_kernel")
	for name, c := range map[string]struct {
		change func(*rig, *rescueBoot)
		kind   store.Kind
		text   string
	}{
		"all is there":       {},
		"no ramdisk":         {change: func(_ *rig, b *rescueBoot) { b.missing = noRamdisk }, kind: store.MissingParameterValue},
		"another boot":       {change: func(g *rig, _ *rescueBoot) { g.task.Hardware.Boot = g.boot }, kind: store.UnsupportedDriverExtension, text: "validate_rescue"},
		"no password":        {change: func(g *rig, _ *rescueBoot) { drivers.ForgetRescuePassword(g.task.Node) }, kind: store.MissingParameterValue, text: "is missing 'instance_info/rescue_password'"},
		"a password of null": {change: func(g *rig, _ *rescueBoot) { g.task.Node.InstanceInfo["rescue_password"] = nil }, kind: store.MissingParameterValue},
		"an empty password":  {change: func(g *rig, _ *rescueBoot) { g.task.Node.InstanceInfo["rescue_password"] = " \t" }, kind: store.InvalidParameterValue, text: "is an empty string"},
	} {
		t.Run(name, func(t *testing.T) {
			g, b, rescue := rescueRig(t)
			if c.change != nil {
				c.change(g, b)
			}
			err := rescue.Validate(t.Context(), g.task)
			if store.KindOf(err) != c.kind || c.text != "" && !strings.Contains(err.Error(), c.text) {
				t.Errorf("it says %v", err)
			}
		})
	}
}

func TestRescueAndUnrescue(t *testing.T) {
	g, _, rescue := rescueRig(t)
	outcome, err := rescue.Rescue(t.Context(), g.task)
	if err != nil || outcome != drivers.Waiting {
		t.Fatalf("rescue: %v, %v", outcome, err)
	}
	if want := []string{"clean_up_instance", "unconfigure_tenant_networks", "prepare_ramdisk"}; !slices.Equal(g.calls, want) {
		t.Errorf("calls %q", g.calls)
	}
	if want := []string{store.PowerOff, store.PowerOn}; !slices.Equal(g.worker.power, want) {
		t.Errorf("power %q", g.worker.power)
	}
	g.calls, g.worker.power = nil, nil
	if err := rescue.Unrescue(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	if want := []string{"clean_up_ramdisk", "configure_tenant_networks", "prepare_instance"}; !slices.Equal(g.calls, want) {
		t.Errorf("calls %q", g.calls)
	}
	if want := []string{store.PowerOff, store.PowerOn}; !slices.Equal(g.worker.power, want) {
		t.Errorf("power %q", g.worker.power)
	}
	if g.task.Node.InstanceInfo[drivers.KeyHashedRescuePassword] != nil {
		t.Error("the password is left")
	}
}

// Whoever looks at the row while the node is off for a moment sees a node that is on.
func TestARescueHidesThatTheNodeIsOff(t *testing.T) {
	g, b, rescue := rescueRig(t)
	b.err = errors.New("no medium")
	if _, err := rescue.Rescue(t.Context(), g.task); err == nil {
		t.Fatal("it went well without a medium")
	}
	if g.task.Node.PowerState != store.PowerOn || !slices.Equal(g.worker.power, []string{store.PowerOff}) {
		t.Errorf("the row says %q after %q", g.task.Node.PowerState, g.worker.power)
	}
}

func TestRescueIsCleanedUp(t *testing.T) {
	g, b, rescue := rescueRig(t)
	b.cleanUp = errors.New("the BMC is gone")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rescue.CleanUp(ended, g.task); err == nil || g.worker.saves != 0 || g.task.Node.InstanceInfo["rescue_password"] == nil {
		t.Errorf("cut short: %v, %d saves, row %v", err, g.worker.saves, g.task.Node.InstanceInfo)
	}
	if err := rescue.CleanUp(t.Context(), g.task); !errors.Is(err, b.cleanUp) || g.task.Node.InstanceInfo["rescue_password"] != nil {
		t.Errorf("with a BMC that is gone: %v, row %v", err, g.task.Node.InstanceInfo)
	}
	g.worker.saveErr = store.ErrLockLost
	if err := rescue.CleanUp(t.Context(), g.task); !errors.Is(err, store.ErrLockLost) {
		t.Errorf("with a lock that is lost: %v", err)
	}
}

func TestFinalizeRescue(t *testing.T) {
	refuse := func(r *http.Request, body store.Dict) (int, any) {
		if body.Dict("params").Bool("hashed", false) {
			return 400, store.Dict{"faultstring": "unexpected keyword argument 'hashed'"}
		}
		return 200, cmd("finalize_rescue", statusSucceeded)
	}
	failed := cmd("finalize_rescue", statusFailed)
	failed["command_error"] = "chpasswd is not there"
	for name, c := range map[string]struct {
		answer     func(*http.Request, store.Dict) (int, any)
		change     func(*store.Node)
		onlyHashed bool
		told       []string
		text       string
	}{
		"a hash":                        {told: []string{"$5$salt$hash"}},
		"an agent that knows no hashes": {answer: refuse, told: []string{"$5$salt$hash", "open sesame"}},
		"an agent that must not know the password": {answer: refuse, onlyHashed: true, told: []string{"$5$salt$hash"},
			text: "Unable to rescue node due to an out of date agent ramdisk. Please contact the administrator to update the rescue " +
				"ramdisk to contain an ironic-python-agent version of at least 6.0.0."},
		"a command that failed": {told: []string{"$5$salt$hash"},
			answer: func(*http.Request, store.Dict) (int, any) { return 200, failed },
			text:   "Agent returned bad result for command finalize_rescue: chpasswd is not there"},
		"no password": {change: func(n *store.Node) { drivers.ForgetRescuePassword(n) },
			text: "Agent rescue requires rescue_password in instance_info"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := c.answer
			if answer == nil {
				answer = func(*http.Request, store.Dict) (int, any) { return 200, cmd("finalize_rescue", statusSucceeded) }
			}
			a := newAgent(t, answer)
			g, _, _ := rescueRig(t)
			a.adopt(t, g.task.Node)
			if c.change != nil {
				c.change(g.task.Node)
			}
			err := g.deploy.FinalizeRescue(t.Context(), g.task, c.onlyHashed)
			var told []string
			for _, post := range a.posts {
				if post.String("name") != "rescue.finalize_rescue" {
					t.Errorf("the agent was sent %v", post)
				}
				told = append(told, post.Dict("params").String("rescue_password"))
			}
			if !slices.Equal(told, c.told) {
				t.Errorf("the agent was told %q", told)
			}
			want := ""
			if c.text != "" {
				want = "Failed to rescue instance i1 for node " + g.task.Node.UUID + ": " + c.text
			}
			if err == nil && want != "" || err != nil && (err.Error() != want || store.KindOf(err) != store.InstanceRescueFailure) {
				t.Errorf("it says %v, want %s", err, want)
			}
		})
	}
}

// Whether an agent that does not answer may have taken the password is for the conductor to find out.
func TestAnAgentThatIsGoneIsTold(t *testing.T) {
	a := newAgent(t, nil)
	g, _, _ := rescueRig(t)
	a.adopt(t, g.task.Node)
	a.Close()
	err := g.deploy.FinalizeRescue(t.Context(), g.task, false)
	if !errors.Is(err, &store.Error{Kind: store.AgentConnectionFailed}) {
		t.Errorf("it says %v", err)
	}
}
