package redfish_test

import (
	"context"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

// network connects ports as their internal_info says, and describes that.
type network struct{ *noop.Network }

func (network) CurrentVIF(internalInfo store.Dict) string {
	return internalInfo.String("cleaning_vif_port_id")
}

func (network) NetworkData(context.Context, *drivers.Task) (store.Dict, error) {
	return store.Dict{"links": []any{store.Dict{"id": "eth0", "mtu": 1450}}}, nil
}

// What a machine is told of its networks is on its ISO, also on the one that is served after a restart of the worker.
func TestTheRamdiskIsToldOfItsNetworks(t *testing.T) {
	b := newBMC(t)
	b.cd(true, "CD")
	x, w, p := vmedia(t, b, mediaConfig())
	x.Hardware.Network = network{noop.NewNetwork()}
	w.ports = []*store.Port{{Address: "52:54:00:00:00:01"},
		{Address: "52:54:00:00:00:02", InternalInfo: store.Dict{"cleaning_vif_port_id": "vif"}}}
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	told := func(text string) bool {
		return strings.Contains(text, " BOOTIF=52:54:00:00:00:02 ") && strings.Contains(text, `{"links": [{"id": "eth0", "mtu": 1450}]}`)
	}
	if !told(p.text(t, "node-1")) {
		t.Error("the ISO does not tell of the networks")
	}
	again, worker, q := vmedia(t, b, mediaConfig())
	worker.journal = w.journal
	boot := again.Hardware.Boot.(interface {
		Resume(context.Context, *drivers.Task) error
	})
	if err := boot.Resume(t.Context(), again); err != nil || !told(q.text(t, "node-1")) {
		t.Errorf("after a restart the ISO does not tell of the networks: %v", err)
	}
}
