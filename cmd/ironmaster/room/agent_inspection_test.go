package room

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

func (f *fakeIronic) continueInspection(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse > 0 {
		f.refuse--
		http.Error(w, "busy", http.StatusConflict)
		return
	}
	var found map[string]any
	if err := json.NewDecoder(r.Body).Decode(&found); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.findings = append(f.findings, found)
	w.WriteHeader(http.StatusAccepted)
}

// An agent that is booted for an inspection tells what it found, again and again until it is heard. It beats only where it is told
// ironic's address.
func TestAgentInspects(t *testing.T) {
	for _, fast := range []bool{false, true} {
		t.Run(fmt.Sprint("fast track ", fast), func(t *testing.T) {
			m := openRoom(t, Config{}).Machines()[0]
			ironic := newFakeIronic(t, m)
			ironic.refuse = 1
			line := fmt.Sprintf("linuxefi /vmlinuz ipa-inspection-callback-url=%s/v1/continue_inspection ipa-agent-token=%s", ironic.URL, testToken)
			if fast {
				line += " ipa-api-url=" + ironic.URL
			}
			bootAgent(t, m, ironic.serve("boot.iso", makeISO(map[string]string{"EFI/BOOT/grub.cfg": line + " --\n"})))
			told := func() []map[string]any {
				ironic.mu.Lock()
				defer ironic.mu.Unlock()
				return ironic.findings
			}
			eventually(t, "findings", func() bool { return len(told()) == 1 })
			inventory, _ := told()[0]["inventory"].(map[string]any)
			cards, _ := inventory["interfaces"].([]any)
			if len(cards) != 1+len(m.Info().MACs) || inventory["cpu"].(map[string]any)["architecture"] != "x86_64" {
				t.Errorf("it told %v", inventory)
			}
			if fast {
				eventually(t, "a heartbeat", func() bool { return len(ironic.beats()) > 0 })
			} else if len(ironic.beats()) != 0 {
				t.Error("it beats without being told where")
			}
		})
	}
}
