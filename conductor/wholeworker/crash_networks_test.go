package wholeworker

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers/neutron/neutrontest"
	"github.com/ironmaster/ironmaster/drivers/storage/cindertest"
)

// crashServices are services of OpenStack's that the workers of the matrix use, each of which knows what it was asked for.
type crashServices struct {
	neutron *neutrontest.Server
	cinder  *cindertest.Server
}

// ramdiskNetworks are those on which no port may be left.
var ramdiskNetworks = []string{"cleaning", "provisioning"}

func startCrashServices(t *testing.T) crashServices {
	s := crashServices{neutrontest.New(t), cindertest.New(t)}
	for _, network := range append([]string{"tenant"}, ramdiskNetworks...) {
		s.neutron.Add("networks", neutrontest.Object{"id": network, "name": network})
	}
	s.neutron.Add("subnets", neutrontest.Object{"id": "subnet", "cidr": "10.0.0.0/24", "ip_version": 4, "gateway_ip": "10.0.0.1",
		"dns_nameservers": []any{}, "host_routes": []any{}})
	return s
}

func (s crashServices) options() options {
	return options{
		"neutron": {"auth_type": "none", "endpoint_override": s.neutron.URL, "cleaning_network": "cleaning", "provisioning_network": "provisioning"},
		"cinder":  {"auth_type": "none", "endpoint_override": s.cinder.URL + "/v3", "action_retry_interval": "1"},
	}
}

// vifOf is the virtual interface of a node.
func vifOf(node string) string { return "vif-" + node }

// attachVIF gives the node's only port a tenant's virtual interface, which is bound where the machine has power.
func (r *crashRun) attachVIF(ctx context.Context) error {
	bound := ""
	if r.flow.on {
		bound = r.node
	}
	r.services.neutron.Add("ports", neutrontest.Object{"id": vifOf(r.node), "network_id": "tenant", "binding:host_id": bound,
		"mac_address": r.machine.Info().MACs[0], "binding:vnic_type": "baremetal", "fixed_ips": []any{}})
	return r.wire(ctx, `{"tenant_vif_port_id": "`+vifOf(r.node)+`"}`)
}

// wire says which switch the node's port is plugged into, and what else is known of it.
func (r *crashRun) wire(ctx context.Context, info string) error {
	_, err := r.db.ExecContext(ctx, `UPDATE ports SET internal_info = '`+info+`', local_link_connection = '{"switch_id": "00:11:22:33:44:55", `+
		`"port_id": "Ethernet1/1"}' WHERE node_id = (SELECT id FROM nodes WHERE uuid = '`+r.node+`')`)
	return err
}

// checkPlugged expects the machine on its tenant's network alone.
func (r *crashRun) checkPlugged() error {
	if err := r.checkPort(r.node); err != nil {
		return err
	}
	return r.checkDeployed()
}

// checkUnplugged expects the machine on no network.
func (r *crashRun) checkUnplugged() error {
	if err := r.checkPort(""); err != nil {
		return err
	}
	return r.checkOff()
}

// checkPort expects the tenant's port bound to a host, and no port of a ramdisk's.
func (r *crashRun) checkPort(host string) error {
	if got := r.services.neutron.Port(vifOf(r.node)); got["binding:host_id"] != host {
		return fmt.Errorf("the tenant's port is %v", got)
	}
	mac := r.machine.Info().MACs[0]
	for _, p := range r.services.neutron.Ports() {
		if p["network_id"] != "tenant" && (strings.EqualFold(fmt.Sprint(p["mac_address"]), mac) || p["device_id"] == r.node) {
			return fmt.Errorf("a ramdisk's port is left: %v", p)
		}
	}
	return nil
}
