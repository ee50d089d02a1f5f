package wholeworker

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// vendorsHere tells that the release that is tested has hardware types of vendors that ironic had up to 35.0, and configuration molds.
func vendorsHere() bool { return os.Getenv(lab.ReleaseVariable) != "newest" }

// firmwareHere tells that the release that is tested has firmware interfaces.
func firmwareHere() bool { return os.Getenv(lab.ReleaseVariable) != "" }

// serveMold is where the configuration is that iDRACs import.
func serveMold(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"oem": {"interface": "idrac-redfish", "data": {"SystemConfiguration": {"Components": [
			{"FQDD": "BIOS.Setup.1-1", "Attributes": [{"Name": "QuietBoot", "Value": false}]}]}}}}`))
	}))
	t.Cleanup(server.Close)
	return server.URL + "/mold.json"
}

// dellOwn are the fields of a node that has an iDRAC, hpeOwn of one that has an iLO.
var (
	dellOwn = map[string]any{"driver": "idrac", "boot_interface": "idrac-redfish-virtual-media", "power_interface": "idrac-redfish",
		"management_interface": "idrac-redfish", "raid_interface": "idrac-redfish", "bios_interface": "no-bios", "inspect_interface": "no-inspect",
		"vendor_interface": "no-vendor"}
	hpeOwn = map[string]any{"driver": "ilo5", "boot_interface": "ilo-virtual-media", "power_interface": "ilo", "management_interface": "ilo5",
		"raid_interface": "no-raid", "bios_interface": "ilo", "inspect_interface": "no-inspect", "vendor_interface": "no-vendor"}
)

// configureDell changes a machine through its iDRAC: the controller gets into RAID mode when its arrays are deleted.
func configureDell(c *crashWorld) map[string]any {
	steps := []any{
		map[string]any{"interface": "raid", "step": "delete_configuration"},
		map[string]any{"interface": "raid", "step": "create_configuration"},
	}
	if vendorsHere() {
		steps = append(steps, map[string]any{"interface": "management", "step": "import_configuration", "args": map[string]any{
			"import_configuration_location": c.mold}})
	}
	return map[string]any{"target": "clean", "clean_steps": append(steps, map[string]any{"interface": "deploy", "step": "erase_devices"})}
}

// checkDell expects what was asked for, once.
func (r *crashRun) checkDell() error {
	got := r.machine.Snapshot()
	if !slices.Equal(got.Volumes, []string{"RAID0"}) || got.ControllerMode != "RAID" {
		return fmt.Errorf("the machine has the arrays %v, its controller the mode %s", got.Volumes, got.ControllerMode)
	}
	if vendorsHere() && (got.Imports != 1 || got.BIOS["QuietBoot"] != false) {
		return fmt.Errorf("the machine was set up %d times, and has the settings %v", got.Imports, got.BIOS)
	}
	return r.checkOff()
}

// configureHPE changes a machine through its iLO.
var configureHPE = map[string]any{"target": "clean", "clean_steps": []any{
	map[string]any{"interface": "bios", "step": "factory_reset"},
	map[string]any{"interface": "bios", "step": "apply_configuration", "args": map[string]any{"settings": []any{
		map[string]any{"name": "CustomPostMessage", "value": "hello"}}}},
	map[string]any{"interface": "deploy", "step": "erase_devices"}}}

func (r *crashRun) checkHPE() error {
	if got := r.machine.Snapshot(); got.BIOS["CustomPostMessage"] != "hello" {
		return fmt.Errorf("the machine has the settings %v", got.BIOS)
	}
	return r.checkOff()
}
