package room

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers/partition"
)

func TestCleaning(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	fill(t, m)
	bootAgent(t, m, ironic.bootISO())
	agent := ironic.agent()
	steps, _ := agent.command(true, "clean.get_clean_steps", map[string]any{})
	var offered struct {
		Steps map[string][]step `json:"clean_steps"`
	}
	if err := json.Unmarshal(steps.Result, &offered); err != nil {
		t.Fatal(err)
	}
	priorities := map[string]int{}
	for _, one := range offered.Steps["GenericHardwareManager"] {
		priorities[one.Step] = one.Priority
	}
	if priorities["erase_devices"] != 10 || priorities["erase_devices_metadata"] != 99 {
		t.Errorf("the clean steps are %v", priorities)
	}
	clean := func(step string, version any) shown {
		started, _ := agent.command(false, "clean.execute_clean_step", map[string]any{
			"step": map[string]any{"step": step, "interface": "deploy"}, "clean_version": version})
		return agent.finished(started.ID)
	}
	if got := clean("erase_devices", map[string]string{"generic_hardware_manager": "0.1"}); got.Status != versionMismatch {
		t.Errorf("another version: %+v", got)
	}
	if got := clean("polish", nil); got.Status != commandFailedNow || got.Error.Type != "CleaningError" {
		t.Errorf("an unknown step: %+v", got)
	}
	if got := clean("erase_devices_metadata", hardwareManager); got.Status != commandSucceeded {
		t.Errorf("metadata: %+v", got)
	}
	if err := m.disk.bootable(t.Context(), ModeLegacy); !errors.Is(err, partition.ErrNoTable) {
		t.Errorf("bootable after its metadata are gone: %v", err)
	}
	zeroes := sha256Hex(make([]byte, m.disk.size))
	if got, err := m.DiskSHA256(m.disk.size); got == zeroes || err != nil {
		t.Errorf("erasing metadata erased the data, error %v", err)
	}
	if got := clean("erase_devices", hardwareManager); got.Status != commandSucceeded {
		t.Errorf("erasing: %+v", got)
	}
	if got, err := m.DiskSHA256(m.disk.size); got != zeroes || err != nil {
		t.Errorf("the disk is not empty, error %v", err)
	}
}

func TestReboot(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	fill(t, m)
	bootAgent(t, m, ironic.bootISO())
	ironic.agent().command(false, "standby.run_image", map[string]any{})
	eventually(t, "the boot from disk", func() bool { return m.Snapshot().Booted == BootDisk })
}

func TestLockdown(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	bootAgent(t, m, ironic.bootISO())
	agent := ironic.agent()
	agent.command(false, "system.lockdown", map[string]any{})
	agent.http.CloseIdleConnections()
	eventually(t, "a silent agent", func() bool {
		connection, err := tls.Dial("tcp", strings.TrimPrefix(agent.url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			connection.Close()
		}
		return err != nil
	})
	if !m.Snapshot().Powered {
		t.Error("a lockdown switched the power off")
	}
}
