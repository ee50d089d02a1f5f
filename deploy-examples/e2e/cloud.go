package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/nodes"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/ports"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

const (
	statePoll = 500 * time.Millisecond
	// stateTimeout bounds how long a node may take from one stable state to the next.
	stateTimeout = 30 * time.Minute
	powerTimeout = 2 * time.Minute
)

// agentParameters are ironic's own, the serial console, and no mitigations: page table isolation makes an emulated processor
// crawl.
const agentParameters = "nofb vga=normal console=ttyS0 mitigations=off"

// cloud speaks to ironic-api as a user does.
type cloud struct{ ironic *gophercloud.ServiceClient }

func newCloud(url string) (*cloud, error) {
	client, err := lab.BareMetalClient(url)
	if err != nil {
		return nil, err
	}
	return &cloud{client}, nil
}

// interfaces are those of the nodes that matter here, and the capabilities that they need.
type interfaces struct{ boot, deploy, storage, capabilities string }

func (t *trial) interfaces() interfaces {
	if t.volume {
		return interfaces{t.boot, t.deploy, "external", ",iscsi_boot:true"}
	}
	return interfaces{boot: t.boot, deploy: t.deploy}
}

// enrol creates a node and its port.
func (c *cloud) enrol(ctx context.Context, m *machine, by interfaces, artifacts string) error {
	artifact := func(name string) string { return "file://" + filepath.Join(artifacts, name) }
	node, err := nodes.Create(ctx, c.ironic, nodes.CreateOpts{
		Name: m.firmware, Driver: "redfish", BootInterface: by.boot, DeployInterface: by.deploy,
		NetworkInterface: "noop", StorageInterface: by.storage,
		DriverInfo: map[string]any{
			"redfish_address": m.Address, "redfish_system_id": m.SystemID, "redfish_verify_ca": m.CAFile,
			"redfish_username": m.Username, "redfish_password": m.Password,
			"deploy_kernel": artifact("kernel"), "deploy_ramdisk": artifact("ramdisk"), "bootloader": artifact("esp.img"),
			"kernel_append_params": agentParameters,
		},
		Properties: map[string]any{
			"capabilities": "boot_mode:" + m.firmware + by.capabilities, "cpu_arch": m.CPUArch, "memory_mb": m.MemoryMB, "local_gb": m.LocalGB,
		},
	}).Extract()
	if err != nil {
		return fmt.Errorf("creating the node: %w", err)
	}
	m.node = node.UUID
	for _, mac := range m.MACs {
		if _, err := ports.Create(ctx, c.ironic, ports.CreateOpts{NodeUUID: node.UUID, Address: mac}).Extract(); err != nil {
			return fmt.Errorf("creating its port: %w", err)
		}
	}
	return nil
}

// order says which image the next deployment of a node writes.
func (c *cloud) order(ctx context.Context, m *machine, i *image) error {
	info := map[string]string{"image_source": "file://" + i.qcow2, "image_os_hash_algo": "sha256", "image_os_hash_value": i.sha256}
	maps.Copy(info, i.layout)
	_, err := nodes.Update(ctx, c.ironic, m.node, nodes.UpdateOpts{nodes.UpdateOperation{
		Op: nodes.AddOp, Path: "/instance_info", Value: info,
	}}).Extract()
	if err != nil {
		return fmt.Errorf("choosing the image: %w", err)
	}
	return nil
}

// provision asks for a change of provision state and waits for its end. Meanwhile watch is told what the node is at.
func (c *cloud) provision(ctx context.Context, m *machine, verb, wanted string, watch func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	opts := nodes.ProvisionStateOpts{Target: nodes.TargetProvisionState(verb)}
	if err := nodes.ChangeProvisionState(ctx, c.ironic, m.node, opts).ExtractErr(); err != nil {
		return fmt.Errorf("asking for %s: %w", verb, err)
	}
	return c.await(ctx, m, verb, func(node *nodes.Node) (bool, error) {
		watch(activity(node))
		switch {
		case node.ProvisionState == wanted && node.Reservation == "":
			return true, nil
		case strings.HasSuffix(node.ProvisionState, "failed"), node.ProvisionState == string(nodes.Error),
			node.LastError != "" && node.TargetProvisionState == "":
			return false, fmt.Errorf("it is %s now: %s", node.ProvisionState, node.LastError)
		}
		return false, nil
	})
}

// activity is what a node is at: the step when there is one, with its waiting for the agent, else the state.
func activity(node *nodes.Node) string {
	step, _ := cmp.Or(node.DeployStep["step"], node.CleanStep["step"]).(string)
	if step == "" {
		return node.ProvisionState
	}
	return "step " + step
}

// powerOff cuts the power of a machine and waits until ironic has seen that it is off.
func (c *cloud) powerOff(ctx context.Context, m *machine) error {
	ctx, cancel := context.WithTimeout(ctx, powerTimeout)
	defer cancel()
	opts := nodes.PowerStateOpts{Target: nodes.PowerOff}
	if err := nodes.ChangePowerState(ctx, c.ironic, m.node, opts).ExtractErr(); err != nil {
		return fmt.Errorf("asking for power off: %w", err)
	}
	return c.await(ctx, m, "power off", func(node *nodes.Node) (bool, error) {
		if node.LastError != "" {
			return false, errors.New(node.LastError)
		}
		return node.PowerState == string(nodes.PowerOff) && node.TargetPowerState == "", nil
	})
}

// await looks at a node again and again, until done says so.
func (c *cloud) await(ctx context.Context, m *machine, what string, done func(*nodes.Node) (bool, error)) error {
	for {
		node, err := nodes.Get(ctx, c.ironic, m.node).Extract()
		if err != nil {
			return fmt.Errorf("%s: reading the node: %w", what, err)
		}
		ended, err := done(node)
		if err != nil || ended {
			if err != nil {
				err = fmt.Errorf("%s: %w", what, err)
			}
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: it is still %s: %w", what, activity(node), context.Cause(ctx))
		case <-time.After(statePoll):
		}
	}
}
