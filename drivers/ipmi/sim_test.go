package ipmi_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/store"
)

// startBMC starts ipmi_sim for a test.
func startBMC(t *testing.T, console string) *lab.IPMISim {
	t.Helper()
	sim, err := lab.NewForTest(t, lab.Options{}).StartIPMISim("bmc", console)
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

// quick is a configuration that waits little.
func quick(transport string) ipmi.Config {
	c := ipmi.DefaultConfig()
	c.Transport, c.Interval, c.RetryTimeout, c.Tries = transport, time.Millisecond, 20*time.Second, 1
	c.PowerTimeout, c.PowerPoll, c.ResetPause = time.Minute, 10*time.Millisecond, time.Millisecond
	return c
}

type worker struct{ drivers.Worker }

func (worker) Save(context.Context, *drivers.Task) error { return nil }

// bench is a driver in front of a node.
type bench struct {
	*drivers.Task
	power      *ipmi.Power
	management *ipmi.Management
	vendor     *ipmi.Vendor
	console    *ipmi.Console
	client     *ipmi.Client
	log        *strings.Builder
}

// newBench makes a task for a node whose BMC is sim. ipmi_sim has cipher suite 3 alone.
func newBench(cfg ipmi.Config, sim *lab.IPMISim) *bench {
	b := &bench{log: &strings.Builder{}}
	log := zerolog.New(b.log)
	c := ipmi.New(cfg, log)
	b.client = c
	b.power, b.management, b.vendor, b.console = ipmi.NewPower(c), ipmi.NewManagement(c), ipmi.NewVendor(c), ipmi.NewConsole(c)
	b.Task = &drivers.Task{Log: log, Worker: worker{}, Hardware: &drivers.Hardware{Power: b.power, Management: b.management},
		Node: &store.Node{UUID: "0d4a1f6e-0000-4000-8000-000000000001", Driver: "ipmi", DriverInternalInfo: store.Dict{},
			DriverInfo: store.Dict{"ipmi_address": sim.Address, "ipmi_port": strconv.Itoa(sim.Port),
				"ipmi_username": sim.Username, "ipmi_password": sim.Password, "ipmi_cipher_suite": 3}}}
	return b
}

func state(t *testing.T, sim *lab.IPMISim, file, want string) {
	t.Helper()
	if got, err := sim.State(file); err != nil || got != want {
		t.Errorf("%s of the machine: %q, %v, want %q", file, got, err, want)
	}
}

var transports = []string{ipmi.TransportAuto, ipmi.TransportIpmitool}

func TestPower(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			sim := startBMC(t, "")
			b := newBench(quick(transport), sim)
			for _, step := range []struct {
				name string
				do   func() error
				want string
			}{
				{"on", func() error { return b.power.SetPowerState(t.Context(), b.Task, store.PowerOn, 0) }, store.PowerOn},
				{"reboot", func() error { return b.power.Reboot(t.Context(), b.Task, 0) }, store.PowerOn},
				{"off", func() error { return b.power.SetPowerState(t.Context(), b.Task, store.PowerOff, 0) }, store.PowerOff},
				{"soft reboot when off", func() error { return b.power.SetPowerState(t.Context(), b.Task, store.SoftReboot, 0) }, store.PowerOn},
				{"soft off", func() error { return b.power.SetPowerState(t.Context(), b.Task, store.SoftPowerOff, 0) }, store.PowerOff},
				{"reboot when off", func() error { return b.power.Reboot(t.Context(), b.Task, 0) }, store.PowerOn},
				{"reset", func() error {
					never := true
					b.Node.DisablePowerOff = &never
					defer func() { b.Node.DisablePowerOff = nil }()
					return b.power.Reboot(t.Context(), b.Task, 0)
				}, store.PowerOn},
			} {
				if err := step.do(); err != nil {
					t.Fatalf("%s: %v", step.name, err)
				}
				if got, err := b.power.PowerState(t.Context(), b.Task); err != nil || got != step.want {
					t.Errorf("after %s: %q, %v, want %q", step.name, got, err, step.want)
				}
			}
			calls, err := sim.Calls()
			var sets []string
			for _, c := range calls {
				if strings.HasPrefix(c, "set ") {
					sets = append(sets, strings.TrimPrefix(c, "set "))
				}
			}
			want := []string{"power 1", "power 0", "power 1", "power 0", "shutdown 1", "power 1", "shutdown 1", "power 1", "reset 1"}
			if err != nil || !slices.Equal(sets, want) {
				t.Errorf("the machine saw %v, %v, want %v", sets, err, want)
			}
			if strings.Contains(b.log.String(), sim.Password) {
				t.Error("the password is in the log")
			}
		})
	}
}

func TestBootDevice(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			sim := startBMC(t, "")
			b := newBench(quick(transport), sim)
			devices, err := b.management.SupportedBootDevices(t.Context(), b.Task)
			if err != nil || len(devices) != 5 {
				t.Fatalf("%v, %v", devices, err)
			}
			for _, mode := range []string{"bios", "uefi"} {
				b.Node.Properties = store.Dict{"capabilities": "boot_mode:" + mode}
				for _, device := range devices {
					if device == store.BootDeviceSafe {
						continue // ipmi_sim knows none
					}
					if err := b.management.SetBootDevice(t.Context(), b.Task, device, true); err != nil {
						t.Fatalf("%s in mode %s: %v", device, mode, err)
					}
					got, err := b.management.BootDevice(t.Context(), b.Task)
					if err != nil || got.Device != device || got.Persistent == nil {
						t.Errorf("%s in mode %s: reads %+v, %v", device, mode, got, err)
					}
				}
			}
			err = b.management.SetBootDevice(t.Context(), b.Task, "floppy", false)
			if store.KindOf(err) != store.InvalidParameterValue || err.Error() != "Invalid boot device floppy specified." {
				t.Errorf("a floppy: %v", err)
			}
		})
	}
}

// A BMC that forgets its boot device is told again before each start, unless another device was asked for once.
func TestForcedBootDevice(t *testing.T) {
	sim := startBMC(t, "")
	b := newBench(quick(ipmi.TransportAuto), sim)
	b.Node.DriverInfo["ipmi_force_boot_device"] = "true"
	set := func(device string, persistent bool) {
		t.Helper()
		if err := b.management.SetBootDevice(t.Context(), b.Task, device, persistent); err != nil {
			t.Fatal(err)
		}
	}
	device := func() string {
		t.Helper()
		b.Node.DriverInfo["ipmi_force_boot_device"] = "false"
		defer func() { b.Node.DriverInfo["ipmi_force_boot_device"] = "true" }()
		d, err := b.management.BootDevice(t.Context(), b.Task)
		if err != nil {
			t.Fatal(err)
		}
		return d.Device
	}
	reboot := func() {
		t.Helper()
		if err := b.power.Reboot(t.Context(), b.Task, 0); err != nil {
			t.Fatal(err)
		}
	}
	set("disk", true)
	set("pxe", false)
	if d, err := b.management.BootDevice(t.Context(), b.Task); err != nil || d.Device != "pxe" {
		t.Errorf("asked for once: %+v, %v", d, err)
	}
	if reboot(); device() != "pxe" {
		t.Error("the device that was asked for once was overwritten")
	}
	if reboot(); device() != "disk" {
		t.Error("the persistent device was not set again")
	}
	if d, err := b.management.BootDevice(t.Context(), b.Task); err != nil || d.Device != "disk" || !*d.Persistent {
		t.Errorf("after the reboots: %+v, %v", d, err)
	}
}

func TestSensorsVendorAndRaw(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			sim := startBMC(t, "")
			b := newBench(quick(transport), sim)
			data, err := b.management.Sensors(t.Context(), b.Task)
			if err != nil {
				t.Fatal(err)
			}
			sensor, _ := data["Temperature"]["CPU Temp (0x0)"].(store.Dict)
			if got := sensor.String("Sensor Reading"); got != "42 (+/- 0) degrees C" || sensor.String("Entity ID") != "3.1 (Processor)" {
				t.Errorf("sensors: %v", data)
			}
			if vendor, err := b.management.DetectVendor(t.Context(), b.Task); err != nil || vendor != "montavista software, inc." {
				t.Errorf("vendor %q, %v", vendor, err)
			}
			run := func(method string, args store.Dict) error {
				if err := b.vendor.ValidateMethod(t.Context(), b.Task, method, args); err != nil {
					return err
				}
				_, err := b.vendor.NodeMethods()[method].Run(t.Context(), b.Task, args)
				return err
			}
			if err := run("send_raw", store.Dict{"raw_bytes": "0x00 0x02 0x01"}); err != nil {
				t.Errorf("raw power on: %v", err)
			}
			state(t, sim, "power", "1")
			if err := run("bmc_reset", store.Dict{"warm": "false"}); err != nil {
				t.Errorf("a cold reset: %v\n%s", err, b.log)
			}
			// ipmi_sim knows no warm one.
			if err := run("bmc_reset", store.Dict{}); store.KindOf(err) != store.IPMIFailure ||
				err.Error() != "IPMI call failed: bmc reset warm." {
				t.Errorf("a warm reset: %v", err)
			}
			if err := run("send_raw", store.Dict{"raw_bytes": ""}); store.KindOf(err) != store.MissingParameterValue {
				t.Errorf("no raw_bytes: %v", err)
			}
			for _, bad := range []string{"0x00", "0x00 0x01 -f /etc/shadow", "0x00;id 1"} {
				if err := run("send_raw", store.Dict{"raw_bytes": bad}); store.KindOf(err) != store.IPMIFailure ||
					err.Error() != "IPMI call failed: raw "+bad+"." {
					t.Errorf("raw_bytes %q: %v", bad, err)
				}
			}
		})
	}
}

// What a node may ask for: protocols, bridging, cipher suites. ipmi_sim has no suite 17; a list of suites leads to one that it has.
func TestWaysToABMC(t *testing.T) {
	for _, transport := range transports {
		for name, c := range map[string]struct {
			info   store.Dict
			suites []string
			works  bool
		}{
			"1.5":         {store.Dict{"ipmi_protocol_version": "1.5", "ipmi_cipher_suite": nil}, nil, true},
			"suite 3":     {store.Dict{"ipmi_cipher_suite": "3"}, nil, true},
			"suite 17":    {store.Dict{"ipmi_cipher_suite": 17}, nil, false},
			"suite 1":     {store.Dict{"ipmi_cipher_suite": 1}, nil, true},
			"operator":    {store.Dict{"ipmi_priv_level": "OPERATOR"}, nil, true},
			"a long name": {store.Dict{"ipmi_username": "seventeen letters"}, nil, false},
			"a Kg key":    {store.Dict{"ipmi_hex_kg_key": strings.Repeat("61", 20)}, nil, false},
		} {
			t.Run(transport+"/"+name, func(t *testing.T) {
				t.Parallel()
				sim := startBMC(t, "")
				cfg := quick(transport)
				cfg.CipherSuites = c.suites
				b := newBench(cfg, sim)
				for key, value := range c.info {
					b.Node.DriverInfo[key] = value
				}
				got, err := b.power.PowerState(t.Context(), b.Task)
				if c.works && (err != nil || got != store.PowerOff) || !c.works && store.KindOf(err) != store.IPMIFailure {
					t.Errorf("%q, %v\n%s", got, err, b.log)
				}
				if err != nil && err.Error() != "IPMI call failed: power status." {
					t.Errorf("the error is %q", err)
				}
			})
		}
	}
}

// The vendor is that of the controller behind the BMC.
func TestBridging(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			b := newBench(quick(transport), startBMC(t, ""))
			b.Node.DriverInfo["ipmi_bridging"] = "single"
			b.Node.DriverInfo["ipmi_target_channel"], b.Node.DriverInfo["ipmi_target_address"] = "0", "0x72"
			if vendor, err := b.management.DetectVendor(t.Context(), b.Task); err != nil || !strings.Contains(vendor, "super micro") {
				t.Errorf("%q, %v\n%s", vendor, err, b.log)
			}
		})
	}
}

// A node that names no suite gets on with a BMC that has suite 3 alone, because the library tries 17 and then 3.
func TestUsualCipherSuites(t *testing.T) {
	sim := startBMC(t, "")
	b := newBench(quick(ipmi.TransportAuto), sim)
	delete(b.Node.DriverInfo, "ipmi_cipher_suite")
	if got, err := b.power.PowerState(t.Context(), b.Task); err != nil || got != store.PowerOff {
		t.Errorf("%q, %v\n%s", got, err, b.log)
	}
}

func TestRefusedAndSilent(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			sim := startBMC(t, "")
			b := newBench(quick(transport), sim)
			fails := func(what string) {
				t.Helper()
				_, err := b.power.PowerState(t.Context(), b.Task)
				if store.KindOf(err) != store.IPMIFailure || err.Error() != "IPMI call failed: power status." {
					t.Errorf("%s: %v", what, err)
				}
			}
			b.Node.DriverInfo["ipmi_password"] = "another one"
			for range 3 {
				fails("a wrong password")
			}
			if b.client.Silent() != 0 {
				t.Error("a BMC that refuses a password counts as silent")
			}
			if strings.Contains(b.log.String(), "another one") {
				t.Error("the password is in the log")
			}
			if says := "refuses ipmi_username or ipmi_password"; transport == ipmi.TransportAuto && !strings.Contains(b.log.String(), says) {
				t.Errorf("the log does not say that the BMC %s:\n%s", says, b.log)
			}
			b.Node.DriverInfo["ipmi_password"] = sim.Password
			if err := sim.Kill(); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				fails("a BMC that is away")
			}
			if b.client.Silent() != 1 {
				t.Errorf("a BMC that is away does not count as silent:\n%s", b.log)
			}
			b.Routine = true
			b.log.Reset()
			fails("a silent BMC, for work that nobody waits for")
			if refused := "it has not answered since"; !strings.Contains(b.log.String(), refused) {
				t.Errorf("it was asked again; the log does not say %q:\n%s", refused, b.log)
			}
			if err := sim.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.Routine = false
			if got, err := b.power.PowerState(t.Context(), b.Task); err != nil || got != store.PowerOff || b.client.Silent() != 0 {
				t.Errorf("when it is back: %q, %v", got, err)
			}
		})
	}
}
