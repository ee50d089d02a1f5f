package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/inspector"
	"github.com/ironmaster/ironmaster/store"
)

// inspectorService stands in for ironic-inspector.
type inspectorService struct {
	asked    []string
	err      error
	status   *inspector.Status
	data     store.Dict
	callback string
}

func (s *inspectorService) say(what string) error {
	s.asked = append(s.asked, what)
	return s.err
}

func (s *inspectorService) Start(_ context.Context, node string, managed bool) error {
	return s.say(fmt.Sprintf("start %s %t", node, managed))
}
func (s *inspectorService) Abort(_ context.Context, node string) error { return s.say("abort " + node) }
func (s *inspectorService) Status(context.Context, string) (*inspector.Status, error) {
	return s.status, s.err
}
func (s *inspectorService) Data(context.Context, string) (store.Dict, error) { return s.data, s.err }
func (s *inspectorService) Callback(context.Context) (string, error) {
	if s.callback == "" {
		return "", errors.New("nobody knows")
	}
	return s.callback, nil
}
func (s *inspectorService) Continue(_ context.Context, data store.Dict) error {
	return s.say(fmt.Sprint("continue ", data))
}

type inspectorRig struct {
	*inspectRig
	service   *inspectorService
	inspector *Inspector
}

func newInspectorRig(t *testing.T, forwards bool, change func(*Config, *InspectConfig)) *inspectorRig {
	t.Helper()
	r := &inspectorRig{inspectRig: newInspectRig(t, func(c *Config, i *InspectConfig) {
		i.RequireManagedBoot = false
		if change != nil {
			change(c, i)
		}
	}), service: &inspectorService{callback: "http://192.0.2.2:5050/v1/continue"}}
	r.inspector = NewInspector(r.inspect.cfg, r.inspect.icfg, r.service, r.inspect.keep, forwards)
	r.task.Node.DriverInfo = store.Dict{"redfish_address": "https://198.51.100.7"}
	return r
}

func TestInspectorThatThisConductorBootsFor(t *testing.T) {
	r := newInspectorRig(t, false, func(_ *Config, i *InspectConfig) { i.KernelParameters = map[string]string{"x": "y"} })
	for range 2 { // what was cut short is done again
		if outcome, err := r.inspector.InspectHardware(t.Context(), r.task); err != nil || outcome != drivers.Waiting {
			t.Fatalf("%v, %v", outcome, err)
		}
	}
	if got := fmt.Sprint(r.boot.params); got != "map[ipa-inspection-callback-url:http://192.0.2.2:5050/v1/continue x:y]" {
		t.Errorf("parameters %s", got)
	}
	if !slices.Equal(r.service.asked, []string{"start n true", "start n true"}) || r.network.added != 2 {
		t.Errorf("asked %q, network added %d times", r.service.asked, r.network.added)
	}
	if got := r.worker.power; !slices.Equal(got, []string{store.PowerOff, store.PowerOn, store.PowerOff, store.PowerOn}) {
		t.Errorf("power %q", got)
	}
	if info := fmt.Sprint(r.task.Node.DriverInternalInfo); info != "map[inspector_manage_boot:true]" || r.inspector.TakesNode(r.task.Node) {
		t.Errorf("driver_internal_info %s", info)
	}
	if err := r.inspector.Conclude(t.Context(), r.task); err != nil {
		t.Error(err)
	}
	if info := fmt.Sprint(r.task.Node.DriverInternalInfo); info != "map[]" || r.boot.cleaned != 1 || r.network.removed != 1 ||
		r.worker.power[4] != store.PowerOff {
		t.Errorf("afterwards %s, cleaned %d times, removed %d times, power %q", info, r.boot.cleaned, r.network.removed, r.worker.power)
	}
}

func TestInspectorThatBootsItself(t *testing.T) {
	r := newInspectorRig(t, true, nil)
	r.boot.refusal = unsupportedBoot()
	if err := r.inspector.Validate(t.Context(), r.task); err != nil {
		t.Error(err)
	}
	if outcome, err := r.inspector.InspectHardware(t.Context(), r.task); err != nil || outcome != drivers.Waiting {
		t.Fatalf("%v, %v", outcome, err)
	}
	if len(r.service.asked) > 0 || len(r.worker.power) > 0 || !r.inspector.TakesNode(r.task.Node) {
		t.Errorf("before the node is free: asked %q, power %q", r.service.asked, r.worker.power)
	}
	if info := fmt.Sprint(r.task.Node.DriverInternalInfo); info != "map[inspector_manage_boot:false lookup_bmc_addresses:[198.51.100.7]]" {
		t.Errorf("driver_internal_info %s", info)
	}
	if err := r.inspector.Begin(t.Context(), r.task); err != nil {
		t.Error(err)
	}
	if err := r.inspector.Forward(t.Context(), r.task, store.Dict{"a": 1}, store.Dict{"b": 2}); err != nil {
		t.Error(err)
	}
	if err := r.inspector.AbortInspection(t.Context(), r.task); err != nil {
		t.Error(err)
	}
	if want := []string{"start n false", "continue map[b:2 inventory:map[a:1]]", "abort n"}; !slices.Equal(r.service.asked, want) {
		t.Errorf("asked %q, want %q", r.service.asked, want)
	}
	// The service switches off what it has switched on.
	if err := r.inspector.Conclude(t.Context(), r.task); err != nil || len(r.worker.power) > 0 || r.boot.cleaned > 0 {
		t.Errorf("%v, power %q, cleaned %d times", err, r.worker.power, r.boot.cleaned)
	}
	if info := fmt.Sprint(r.task.Node.DriverInternalInfo); info != "map[]" {
		t.Errorf("afterwards %s", info)
	}
}

func TestInspectorThatDoesNotBegin(t *testing.T) {
	for what, change := range map[string]func(*inspectorRig){
		"boot":    func(r *inspectorRig) { r.boot.err = errors.New("smoke") },
		"service": func(r *inspectorRig) { r.service.err = errors.New("smoke") },
	} {
		r := newInspectorRig(t, true, nil)
		change(r)
		_, err := r.inspector.InspectHardware(t.Context(), r.task)
		if store.KindOf(err) != store.HardwareInspectionFailure ||
			err.Error() != "Failed to inspect hardware. Reason: unable to start inspection: smoke" || r.boot.cleaned != 1 {
			t.Errorf("%s: got %v, cleaned %d times", what, err, r.boot.cleaned)
		}
	}
	r := newInspectorRig(t, true, nil)
	r.service.callback = ""
	if _, err := r.inspector.InspectHardware(t.Context(), r.task); err == nil || r.boot.params != nil {
		t.Errorf("without an address: %v, booted with %v", err, r.boot.params)
	}
	// A boot interface that must be used, and cannot.
	r = newInspectorRig(t, true, func(_ *Config, i *InspectConfig) { i.RequireManagedBoot = true })
	r.boot.refusal = unsupportedBoot()
	if err := r.inspector.Validate(t.Context(), r.task); store.KindOf(err) != store.UnsupportedDriverExtension {
		t.Errorf("validation says %v", err)
	}
	if _, err := r.inspector.InspectHardware(t.Context(), r.task); store.KindOf(err) != store.UnsupportedDriverExtension {
		t.Errorf("the inspection says %v", err)
	}
	r.service.err = errors.New("busy")
	r.task.Node.DriverInternalInfo["lookup_bmc_addresses"] = []any{"198.51.100.7"}
	if err := r.inspector.AbortInspection(t.Context(), r.task); err == nil || len(r.task.Node.DriverInternalInfo) == 0 {
		t.Errorf("an abort that is refused: %v, left %v", err, r.task.Node.DriverInternalInfo)
	}
}

func TestStandingWithInspector(t *testing.T) {
	r := newInspectorRig(t, true, nil)
	for _, c := range []struct {
		status *inspector.Status
		want   drivers.Standing
	}{
		{nil, drivers.Standing{}},
		{&inspector.Status{State: inspector.Waiting}, drivers.Standing{Known: true, Awaited: true}},
		{&inspector.Status{State: "processing"}, drivers.Standing{Known: true}},
		{&inspector.Status{State: "finished", Finished: true}, drivers.Standing{Known: true, Over: true}},
		{&inspector.Status{State: "error", Finished: true, Error: "x"}, drivers.Standing{Known: true, Over: true, Error: "x"}},
	} {
		r.service.status = c.status
		if got, err := r.inspector.Standing(t.Context(), r.task); got != c.want || err != nil {
			t.Errorf("%v: got %v, %v, want %v", c.status, got, err, c.want)
		}
	}
	r.service.data = store.Dict{"inventory": store.Dict{"cpu": 1}, "extra": 2}
	inventory, pluginData, err := r.inspector.Findings(t.Context(), r.task)
	if got := fmt.Sprint(inventory, pluginData, err); got != "map[cpu:1] map[extra:2] <nil>" {
		t.Errorf("findings %s", got)
	}
	r.service.err = errors.New("away")
	if _, err := r.inspector.Standing(t.Context(), r.task); err == nil {
		t.Error("a service that is away knows nothing")
	}
	if _, _, err := r.inspector.Findings(t.Context(), r.task); err == nil {
		t.Error("a service that is away found nothing")
	}
}

func TestInspectionByDHCP(t *testing.T) {
	for given, want := range map[string]string{"": "1", "0": "0"} {
		r := newInspectRig(t, func(_ *Config, i *InspectConfig) {
			i.ForceDHCP = true
			if given != "" {
				i.KernelParameters = map[string]string{"ipa-collect-lldp": given}
			}
		})
		if _, err := r.inspect.InspectHardware(t.Context(), r.task); err != nil || r.boot.params["ipa-collect-lldp"] != want {
			t.Errorf("given %q: %v, %v", given, r.boot.params, err)
		}
	}
}
