package ipmi_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/store"
)

func TestSpeedSelect(t *testing.T) {
	b := newBench(quick(ipmi.TransportAuto), startBMC(t, ""))
	m := ipmi.NewIntelManagement(b.client)
	if steps := m.Steps(drivers.CleanStep); len(steps) != 0 {
		t.Errorf("clean steps %+v", steps)
	}
	steps := m.Steps(drivers.DeployStep)
	if len(steps) != 1 || steps[0].Name != "configure_intel_speedselect" || steps[0].Priority != 200 || !steps[0].Args["intel_speedselect_config"].Required {
		t.Fatalf("deploy steps %+v", steps)
	}
	const values = "Invalid Intel SST-PP configuration value %s specified. Valid values are ['0x00', '0x01', '0x02']."
	for _, c := range []struct {
		args store.Dict
		kind store.Kind
		says string
	}{
		{store.Dict{}, store.InvalidParameterValue, strings.Replace(values, "%s", "None", 1)},
		{store.Dict{"intel_speedselect_config": []any{"0x00"}}, store.InvalidParameterValue, strings.Replace(values, "%s", "['0x00']", 1)},
		{store.Dict{"intel_speedselect_config": "0x00", "socket_count": nil}, store.InvalidParameterValue,
			"Invalid number of socket None value specified. Expected a positive integer."},
		{store.Dict{"intel_speedselect_config": "0x03"}, store.InvalidParameterValue, strings.Replace(values, "%s", "0x03", 1)},
		{store.Dict{"intel_speedselect_config": "0x00", "socket_count": "many"}, store.InvalidParameterValue,
			"Invalid number of socket many value specified. Expected a positive integer."},
		{store.Dict{"intel_speedselect_config": "0x00", "socket_count": json.Number("0")}, store.InvalidParameterValue,
			"Invalid number of socket 0 value specified. Expected a positive integer."},
		// ipmi_sim has no such profiles.
		{store.Dict{"intel_speedselect_config": "0x01", "socket_count": json.Number("2")}, store.IPMIFailure,
			"Failed to set Intel SST-PP configuration level 0x01 on socket number 0 due to reason IPMI call failed: raw 0x2c 0x41 0x04 0x00 0x00 0x01"},
	} {
		_, err := steps[0].Run(t.Context(), b.Task, c.args)
		if store.KindOf(err) != c.kind || !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}
