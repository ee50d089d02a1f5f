package ilo_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ilo"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// oneImage is a service that knows one image.
type oneImage string

func (i oneImage) Show(_ context.Context, ref image.Ref) (image.Metadata, error) {
	if err := image.ValidateSource(ref.Href); err != nil {
		return image.Metadata{}, store.Errorf(store.ImageRefValidationFailed, "%s", err.Error())
	}
	if ref.Href != string(i) {
		return image.Metadata{}, store.Errorf(store.ImageNotFound, "Image %s could not be found.", ref.Href)
	}
	return image.Metadata{}, nil
}

const rescueISO = "http://images/rescue.iso"

func passthru(t *testing.T) *ilo.Passthru {
	t.Helper()
	client := redfishtest.Client(t)
	media := redfish.VirtualMediaConfig{DefaultBootMode: "uefi", Sources: image.Sources{AtOnce: oneImage(rescueISO)}}
	return ilo.NewPassthru(client, config(), ilo.NewVirtualMedia(client, config(), media, redfishtest.ISOs(t),
		redfishtest.Publisher("http://192.0.2.1:8182")))
}

func TestVendorMethods(t *testing.T) {
	p := passthru(t)
	want := []string{"boot_into_iso", "create_subscription", "delete_subscription", "eject_vmedia", "get_all_subscriptions", "get_subscription"}
	if got := slices.Sorted(maps.Keys(p.NodeMethods())); !slices.Equal(got, want) || len(p.Properties()) != 0 {
		t.Errorf("methods %q", got)
	}
}

func TestAMachineIsBootedIntoAnISO(t *testing.T) {
	each(t, func(t *testing.T, tr *redfishtest.Tree, x *drivers.Task, _ string) {
		p := passthru(t)
		x.Node.ProvisionState = store.Manageable
		args := store.Dict{"boot_iso_href": rescueISO}
		if err := p.ValidateMethod(t.Context(), x, "boot_into_iso", args); err != nil {
			t.Fatal(err)
		}
		if changes := tr.Changes(); len(changes) != 0 {
			t.Errorf("asking changed %q", changes)
		}
		if _, err := p.NodeMethods()["boot_into_iso"].Run(t.Context(), x, args); err != nil {
			t.Fatal(err)
		}
		if w := x.Worker.(*redfishtest.Worker); !slices.Equal(w.Power, []string{store.Reboot}) {
			t.Errorf("power %v", w.Power)
		}
		if got := tr.Value("/redfish/v1/Managers/1/VirtualMedia/2", "Image"); got != rescueISO {
			t.Errorf("the drive has %v", got)
		}
	})
}

func TestVendorMethodsThatAreRefused(t *testing.T) {
	tr := redfishtest.Open(t, wholeMachine, machine)
	x, _ := task(t, tr, config())
	p := passthru(t)
	x.Node.ProvisionState = store.Active
	refuse := func(method string, args store.Dict, kind store.Kind, text string) {
		t.Helper()
		redfishtest.WantError(t, p.ValidateMethod(t.Context(), x, method, args), kind, text)
	}
	refuse("boot_into_iso", nil, store.InvalidStateRequested,
		"The requested action 'boot_into_iso' can be performed only when node node-1 is in manageable state or in 'maintenance' mode")
	x.Node.Maintenance = true
	refuse("boot_into_iso", nil, store.MissingParameterValue, "Error validating input for boot_into_iso vendor passthru. Some parameters were "+
		"not provided: . Missing are: ['boot_iso_href']")
	refuse("boot_into_iso", store.Dict{"boot_iso_href": "http://images/none"}, store.InvalidParameterValue, "Image http://images/none can not be found.")
	refuse("boot_into_iso", store.Dict{"boot_iso_href": "frob://x"}, store.InvalidParameterValue,
		"Validation of image href frob://x failed, reason: Image download protocol frob is not supported.")
	refuse("eject_vmedia", nil, store.IloOperationNotSupported, "eject_vmedia not supported. error: eject_vmedia can not be performed as the driver "+
		"does not support eject_vmedia through ilo vendor interface")
	refuse("delete_subscription", nil, store.InvalidParameterValue, "id can't be None")
	tr.Set("/redfish/v1/Systems/1", redfishtest.Object{"Model": "ProLiant BL460c Gen9"})
	refuse("get_all_subscriptions", nil, store.IloOperationNotSupported, "Event methods not supported. error: Event methods can not be performed as the "+
		"driver does not support Event methods on the given node")
	if changes := tr.Changes(); len(changes) != 0 {
		t.Errorf("sent %q", changes)
	}
}

func TestSubscriptionsOfAnILOWithoutEvents(t *testing.T) {
	tr := redfishtest.Open(t, trees["iLO 5"], machine)
	x, _ := task(t, tr, config())
	tr.Set("/redfish/v1", redfishtest.Object{"EventService": redfishtest.Object{"@odata.id": "/redfish/v1/EventService"}})
	_, err := passthru(t).NodeMethods()["get_all_subscriptions"].Run(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.RedfishError, "Redfish exception occurred. Error: Redfish get_subscriptions failed for node node-1. "+
		"Error: Resource "+tr.URL+"/redfish/v1/EventService not found")
}
