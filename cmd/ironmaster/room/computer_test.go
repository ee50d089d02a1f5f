package room

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stmcginnis/gofish/schemas"
)

// rack is a computer that does nothing but note what it is told.
type rack struct {
	plans    chan BootPlan
	inserted chan string
	current  chan *rackRun
	refuse   error
}

type rackRun struct {
	off     chan struct{}
	pressed chan string
}

func newRack() *rack {
	return &rack{plans: make(chan BootPlan, 8), inserted: make(chan string, 8), current: make(chan *rackRun, 8)}
}

func (c *rack) PowerOn(_ context.Context, plan BootPlan) (Running, error) {
	run := &rackRun{off: make(chan struct{}), pressed: make(chan string, 8)}
	c.plans <- plan
	c.current <- run
	return run, nil
}

func (c *rack) Insert(_ context.Context, drive, url string) error {
	c.inserted <- drive + " " + url
	return c.refuse
}

func (r *rackRun) Off() <-chan struct{} { return r.off }

func (r *rackRun) Cut() {
	select {
	case <-r.off:
	default:
		close(r.off)
	}
}

func (r *rackRun) PressButton(context.Context) error { r.pressed <- "button"; return nil }
func (r *rackRun) Interrupt(context.Context) error   { r.pressed <- "nmi"; return nil }

// next takes what arrives, or fails the test when nothing does.
func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(time.Minute):
		t.Fatal("nothing arrived")
		panic("unreachable")
	}
}

func openRack(t *testing.T, c *rack) *Machine {
	return openRoom(t, Config{Computer: func(Info) (Computer, error) { return c, nil }}).Machines()[0]
}

func TestPowerStateFollowsTheComputer(t *testing.T) {
	c := newRack()
	m := openRack(t, c)
	client := connect(t, m)
	is := func(want schemas.PowerState) func() bool {
		return func() bool { return theSystem(t, client).PowerState == want }
	}
	reset(t, theSystem(t, client), schemas.OnResetType)
	first := next(t, c.current)
	reset(t, theSystem(t, client), schemas.NmiResetType)
	reset(t, theSystem(t, client), schemas.GracefulShutdownResetType)
	if got := []string{next(t, first.pressed), next(t, first.pressed)}; got[0] != "nmi" || got[1] != "button" {
		t.Errorf("the computer was told %v", got)
	}
	if !is(schemas.OnPowerState)() {
		t.Error("the power went off while the operating system still ran")
	}
	close(first.off)
	eventually(t, "off after the operating system ended", is(schemas.OffPowerState))

	reset(t, theSystem(t, client), schemas.OnResetType)
	second := next(t, c.current)
	reset(t, theSystem(t, client), schemas.GracefulRestartResetType)
	next(t, second.pressed)
	close(second.off)
	third := next(t, c.current)
	eventually(t, "on again after a restart", is(schemas.OnPowerState))

	reset(t, theSystem(t, client), schemas.GracefulRestartResetType)
	next(t, third.pressed)
	reset(t, theSystem(t, client), schemas.ForceOffResetType)
	eventually(t, "off for good when it was forced", is(schemas.OffPowerState))
	if starts := m.Snapshot().Starts; starts != 3 {
		t.Errorf("the power came on %d times, want 3", starts)
	}
}

func TestComputerBootsByPlan(t *testing.T) {
	const iso = "http://127.0.0.1/boot.iso"
	for _, test := range []struct {
		boot schemas.Boot
		want BootPlan
	}{
		{schemas.Boot{}, BootPlan{Source: SourceDisk, Next: SourceDisk, Mode: ModeUEFI, Image: iso}},
		{
			schemas.Boot{BootSourceOverrideTarget: schemas.CdBootSource, BootSourceOverrideEnabled: "Once", BootSourceOverrideMode: "Legacy"},
			BootPlan{Source: SourceCD, Next: SourceDisk, Mode: ModeLegacy, Image: iso},
		},
		{
			schemas.Boot{BootSourceOverrideTarget: schemas.PxeBootSource, BootSourceOverrideEnabled: "Continuous"},
			BootPlan{Source: SourceNetwork, Next: SourceNetwork, Mode: ModeUEFI, Image: iso},
		},
		{
			schemas.Boot{BootSourceOverrideTarget: schemas.NoneBootSource, BootSourceOverrideEnabled: "Once"},
			BootPlan{Source: SourceDisk, Next: SourceDisk, Mode: ModeUEFI, Image: iso},
		},
	} {
		c := newRack()
		client := connect(t, openRack(t, c))
		if _, err := theCD(t, client).InsertMedia(&schemas.VirtualMediaInsertMediaParameters{Image: iso}); err != nil {
			t.Fatal(err)
		}
		if got := next(t, c.inserted); got != "Cd "+iso {
			t.Errorf("inserted %q", got)
		}
		if test.boot.BootSourceOverrideTarget != "" {
			if err := theSystem(t, client).SetBoot(&test.boot); err != nil {
				t.Fatal(err)
			}
		}
		reset(t, theSystem(t, client), schemas.OnResetType)
		if got := next(t, c.plans); got != test.want {
			t.Errorf("%+v boots %+v, want %+v", test.boot, got, test.want)
		}
	}
}

func TestImageThatCannotBeHadIsNotInserted(t *testing.T) {
	c := newRack()
	c.refuse = errors.New("the image server answered 404 Not Found")
	client := connect(t, openRack(t, c))
	_, err := theCD(t, client).InsertMedia(&schemas.VirtualMediaInsertMediaParameters{Image: "http://127.0.0.1/gone.iso"})
	if err == nil || !strings.Contains(err.Error(), "404 Not Found") {
		t.Errorf("error %v, want the reason", err)
	}
	if cd := theCD(t, client); *cd.Inserted || cd.Image != "" {
		t.Errorf("the drive holds %q", cd.Image)
	}
}
