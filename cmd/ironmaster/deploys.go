package main

import (
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/drivers/iscsi"
)

// deployInterfaces are the deploy interfaces of this build by name. They share direct's way to an agent.
func deployInterfaces(direct *agent.Deploy, overISCSI *iscsi.Deploy) map[string]drivers.Deploy {
	return map[string]drivers.Deploy{
		"direct": direct, "iscsi": overISCSI,
		"custom-agent": agent.NewCustomAgent(direct),
		"ramdisk":      agent.NewRamdisk(direct),
	}
}
