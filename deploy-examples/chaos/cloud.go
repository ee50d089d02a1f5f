package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	baremetal "github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/drivers"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/nodes"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/ports"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/drivers"
)

const (
	// pollPause is how often is looked whether something is so already.
	pollPause = 150 * time.Millisecond
	// retryPause and orderTimeout are how a patient user orders from conductors that come and go.
	retryPause   = 500 * time.Millisecond
	orderTimeout = 2 * time.Minute
)

// cloud speaks to ironic-api as a user does.
type cloud struct{ ironic *gophercloud.ServiceClient }

func newCloud(url string) (*cloud, error) {
	client, err := lab.BareMetalClient(url)
	if err != nil {
		return nil, err
	}
	client.HTTPClient = http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	return &cloud{client}, nil
}

// conductors returns the hosts that serve redfish.
func (c *cloud) conductors(ctx context.Context) ([]string, error) {
	driver, err := baremetal.GetDriverDetails(ctx, c.ironic, "redfish").Extract()
	if err != nil {
		return nil, err
	}
	return driver.Hosts, nil
}

// enrol creates a node and its port and returns the node's UUID.
func (s *site) enrol(ctx context.Context, m room.Info, instance map[string]any) (string, error) {
	clean := false
	node, err := nodes.Create(ctx, s.cloud.ironic, nodes.CreateOpts{
		Name: m.Name, Driver: "redfish", BootInterface: "redfish-virtual-media", DeployInterface: "direct",
		NetworkInterface: "noop", AutomatedClean: &clean,
		DriverInfo: map[string]any{
			"redfish_address": m.Address, "redfish_system_id": m.SystemID, "redfish_verify_ca": m.CAFile,
			"redfish_username": m.Username, "redfish_password": m.Password,
			"deploy_kernel": s.ramdisk.Kernel, "deploy_ramdisk": s.ramdisk.Initrd, "bootloader": s.ramdisk.Bootloader,
		},
		Properties: map[string]any{
			"capabilities": "boot_mode:uefi", "cpu_arch": m.CPUArch, "memory_mb": m.MemoryMB, "local_gb": max(1, m.LocalGB),
		},
	}).Extract()
	if err != nil {
		return "", fmt.Errorf("creating the node of %s: %w", m.Name, err)
	}
	_, err = ports.Create(ctx, s.cloud.ironic, ports.CreateOpts{NodeUUID: node.UUID, Address: m.MACs[0]}).Extract()
	if err != nil {
		return "", fmt.Errorf("creating the port of %s: %w", m.Name, err)
	}
	return node.UUID, s.choose(ctx, node.UUID, instance)
}

// choose says what the node's next deployment writes.
func (s *site) choose(ctx context.Context, node string, instance map[string]any) error {
	return patiently(ctx, "choosing the image of node "+node, func() error {
		return nodes.Update(ctx, s.cloud.ironic, node, nodes.UpdateOpts{
			nodes.UpdateOperation{Op: nodes.AddOp, Path: "/instance_info", Value: instance}}).Err
	})
}

// instance is what a machine gets: every second one a raw image that its agent fetches by itself, the others a qcow2 that goes
// through their conductor.
func (s *site) instance(number int) map[string]any {
	if number%2 == 0 {
		return map[string]any{"image_source": s.images + "/disk-1.raw", "image_disk_format": "raw", "image_checksum": s.image.SHA256}
	}
	return map[string]any{"image_source": s.images + "/disk-1.qcow2", "image_checksum": s.image.QCOW2SHA256,
		"image_download_source": "local"}
}

// order asks for a change of provision state as a patient user does: when no answer comes, or a refusal, it looks whether the
// node has left the state that it was in, and asks again if not.
func (s *site) order(ctx context.Context, node, verb, from string) error {
	return patiently(ctx, "ordering "+verb+" of node "+node, func() error {
		err := nodes.ChangeProvisionState(ctx, s.cloud.ironic, node,
			nodes.ProvisionStateOpts{Target: nodes.TargetProvisionState(verb)}).ExtractErr()
		if err == nil {
			return nil
		}
		if now, lookErr := s.row(ctx, node); lookErr == nil && now.state != from {
			return nil
		}
		return err
	})
}

// patiently tries something again for as long as conductors may be away.
func patiently(ctx context.Context, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if drivers.Pause(ctx, retryPause) != nil {
			return fmt.Errorf("%s: %w", what, shortened(err))
		}
	}
}

// shortened keeps the first line of an error: those of ironic-api hold whole pages.
func shortened(err error) error {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%.300s", line)
}
