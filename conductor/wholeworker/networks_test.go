package wholeworker

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// neutronPort is a port as Neutron shows it.
type neutronPort struct {
	ID        string `json:"id"`
	NetworkID string `json:"network_id"`
	MAC       string `json:"mac_address"`
	DeviceID  string `json:"device_id"`
	Owner     string `json:"device_owner"`
	Host      string `json:"binding:host_id"`
	VNICType  string `json:"binding:vnic_type"`
	Profile   struct {
		Links []map[string]string `json:"local_link_information"`
	} `json:"binding:profile"`
}

// neutron is the lab's Neutron with a network for each ramdisk and one for tenants.
type neutron struct {
	*api
	networks map[string]string // id by name
}

func (w *world) neutron(t *testing.T) *neutron {
	t.Helper()
	n := &neutron{newAPI(w.lab.NeutronURL), map[string]string{}}
	t.Cleanup(n.client.CloseIdleConnections)
	for i, name := range append(slices.Clone(lab.NeutronNetworks), "tenant") {
		n.networks[name] = n.make(t, "network", map[string]any{"name": name})
		n.make(t, "subnet", map[string]any{"network_id": n.networks[name], "ip_version": 4, "cidr": fmt.Sprintf("10.77.%d.0/24", i)})
	}
	return n
}

func (n *neutron) make(t *testing.T, what string, fields map[string]any) string {
	t.Helper()
	var made map[string]struct {
		ID string `json:"id"`
	}
	must(t, n.once(t.Context(), http.MethodPost, "/v2.0/"+what+"s", map[string]any{what: fields}, &made))
	return made[what].ID
}

// on lists the ports of a network.
func (n *neutron) on(ctx context.Context, network string) ([]neutronPort, error) {
	var found struct {
		Ports []neutronPort `json:"ports"`
	}
	query := url.Values{"network_id": {n.networks[network]}}
	return found.Ports, n.once(ctx, http.MethodGet, "/v2.0/ports?"+query.Encode(), nil, &found)
}

// watch notes the bound port that a network has at one time or another, until the test looks at it.
func (n *neutron) watch(t *testing.T, network string) (seen func() *neutronPort) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var port *neutronPort
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			ports, err := n.on(ctx, network)
			if err == nil && len(ports) > 0 && ports[0].Host != "" {
				port = &ports[0]
				return
			}
			if pause(ctx, pollPause) != nil {
				return
			}
		}
	})
	return func() *neutronPort {
		cancel()
		watching.Wait()
		return port
	}
}

// A machine is on the cleaning network while it is cleaned, on the provisioning network while it is deployed, then on its
// tenant's, and no port is left on the others.
func TestNeutronsPortsComeAndGo(t *testing.T) {
	w := start(t, setup{database: "sqlite", neutron: true})
	n := w.neutron(t)
	machine := w.openRoom(t, room.Config{Seed: 1, Count: 1}).Machines()[0]
	mac := machine.Info().MACs[0]
	ctx := t.Context()
	node, err := w.api.enrol(ctx, machine.Info(), w.ramdisk, map[string]any{"network_interface": "neutron"})
	must(t, err)
	w.linkPorts(t, node)
	ramdisk := func(seen func() *neutronPort, network string) {
		t.Helper()
		p := seen()
		if p == nil {
			t.Fatalf("the machine was never on the %s network", network)
		}
		if p.MAC != mac || p.Host != node || p.DeviceID != node || p.Owner != "baremetal:none" || p.VNICType != "baremetal" ||
			len(p.Profile.Links) != 1 || p.Profile.Links[0]["port_id"] != "Ethernet1/1" {
			t.Errorf("on the %s network there was %+v", network, *p)
		}
		if left, err := n.on(ctx, network); err != nil || len(left) > 0 {
			t.Errorf("on the %s network there is still %+v, %v", network, left, err)
		}
	}
	must(t, w.api.reach(ctx, node, "manage", "manageable"))
	cleaned := n.watch(t, "cleaning")
	must(t, w.api.reach(ctx, node, "provide", "available"))
	ramdisk(cleaned, "cleaning")

	vif := n.make(t, "port", map[string]any{"network_id": n.networks["tenant"]})
	must(t, w.api.do(ctx, http.MethodPost, "/v1/nodes/"+node+"/vifs", map[string]any{"id": vif}, nil))
	img := makeImage(t, w.wares, 12, 1)
	must(t, w.api.patch(ctx, node, set("/instance_info", map[string]any{"image_source": "file://" + img.raw, "image_checksum": img.sum})))
	provisioned := n.watch(t, "provisioning")
	must(t, w.api.reach(ctx, node, "active", "active"))
	ramdisk(provisioned, "provisioning")
	tenant := func() neutronPort {
		t.Helper()
		ports, err := n.on(ctx, "tenant")
		must(t, err)
		if len(ports) != 1 || ports[0].ID != vif {
			t.Fatalf("the tenant has %+v", ports)
		}
		return ports[0]
	}
	if p := tenant(); p.MAC != mac || p.Host != node || p.VNICType != "baremetal" || len(p.Profile.Links) != 1 {
		t.Errorf("the instance is on %+v", p)
	}
	cleaned = n.watch(t, "cleaning")
	must(t, w.api.reach(ctx, node, "deleted", "available"))
	ramdisk(cleaned, "cleaning")
	if p := tenant(); p.MAC == mac || p.Host != "" {
		t.Errorf("after the instance the tenant's port is %+v", p)
	}
	w.checkNothingHeld(t)
}

// linkPorts says which switch a node's ports are plugged into.
func (w *world) linkPorts(t *testing.T, node string) {
	t.Helper()
	var found struct {
		Ports []struct {
			UUID string `json:"uuid"`
		} `json:"ports"`
	}
	must(t, w.api.do(t.Context(), http.MethodGet, "/v1/ports?node="+node, nil, &found))
	for i, p := range found.Ports {
		link := map[string]any{"switch_id": "00:11:22:33:44:55", "port_id": fmt.Sprintf("Ethernet1/%d", i+1)}
		must(t, w.api.do(t.Context(), http.MethodPatch, "/v1/ports/"+p.UUID, []any{map[string]any{"op": "add",
			"path": "/local_link_connection", "value": link}}, nil))
	}
}
