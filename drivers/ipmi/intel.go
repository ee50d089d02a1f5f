package ipmi

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// IntelManagement is the management interface intel-ipmitool: that of ipmitool, with the performance profiles of Intel's Speed Select
// (SST-PP).
type IntelManagement struct{ *Management }

// NewIntelManagement returns the management interface intel-ipmitool.
func NewIntelManagement(c *Client) *IntelManagement { return &IntelManagement{NewManagement(c)} }

// speedSelects are the codes of the profiles.
var speedSelects = []string{"0x00", "0x01", "0x02"}

// Steps offers, in deployments, the choice of a profile. It may run twice.
func (m *IntelManagement) Steps(kind drivers.StepKind) []drivers.Step {
	steps := m.Management.Steps(kind)
	if kind != drivers.DeployStep {
		return steps
	}
	return append(steps, drivers.Step{Interface: drivers.TypeManagement, Name: "configure_intel_speedselect", Priority: 200,
		RequiresRamdisk: true, Run: m.chooseProfile, Args: map[string]drivers.StepArg{
			"intel_speedselect_config": {Required: true, Description: "Hexadecimal code of Intel SST-PP configuration provided. Input value " +
				"should be string. Accepted values are 0x00, 0x01, 0x02."},
			"socket_count": {Description: "Number of sockets. Input value should be a positive integer."},
		}})
}

func (m *IntelManagement) chooseProfile(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	profile, _ := args["intel_speedselect_config"].(string)
	if !slices.Contains(speedSelects, profile) {
		return drivers.Done, store.Errorf(store.InvalidParameterValue, "Invalid Intel SST-PP configuration value %s specified. Valid values "+
			"are ['0x00', '0x01', '0x02'].", store.PythonText(args["intel_speedselect_config"]))
	}
	sockets := 1
	if told, given := args["socket_count"]; given {
		var err error
		if sockets, err = strconv.Atoi(store.Dict{"n": told}.String("n")); err != nil || sockets <= 0 {
			return drivers.Done, store.Errorf(store.InvalidParameterValue, "Invalid number of socket %s value specified. Expected a "+
				"positive integer.", store.PythonText(told))
		}
	}
	for socket := range sockets {
		c, err := rawCommand(fmt.Sprintf("0x2c 0x41 0x04 0x00 0x%02x %s", socket, profile))
		if err == nil {
			_, err = m.ask(ctx, t, c)
		}
		if store.KindOf(err) == store.IPMIFailure {
			return drivers.Done, store.Errorf(store.IPMIFailure, "Failed to set Intel SST-PP configuration level %s on socket number %d due "+
				"to reason %s.", profile, socket, err)
		}
		if err != nil {
			return drivers.Done, err
		}
	}
	return drivers.Done, nil
}

var _ drivers.Management = (*IntelManagement)(nil)
