package room

import (
	"net/http"
	"strings"
	"testing"
)

// ask sends a request to a machine's BMC.
func ask(t *testing.T, m *Machine, client *http.Client, method, path, body string) (status int, location string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, m.Info().Address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(m.Info().Username, m.Info().Password)
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode, answer.Header.Get("Location")
}

// exchange is a request and the status that it is answered with.
type exchange struct {
	method, path, body string
	status             int
}

func faced(t *testing.T, face string) (*Machine, *http.Client) {
	t.Helper()
	m := openRoom(t, Config{Count: 1, BMC: face}).Machines()[0]
	return m, bmcClient(t, m)
}

func play(t *testing.T, m *Machine, client *http.Client, all []exchange) {
	t.Helper()
	for _, e := range all {
		if status, _ := ask(t, m, client, e.method, e.path, e.body); status != e.status {
			t.Errorf("%s %s %s: status %d, want %d", e.method, e.path, e.body, status, e.status)
		}
	}
}

// The boot mode of an iLO machine is a BIOS setting, and counts from the next start on.
func TestFaceOfAnILO(t *testing.T) {
	for face, oem := range map[string]string{"hpe": "Hpe/HpeComputerSystemExt", "hpe-ilo4": "Hp/ComputerSystemExt"} {
		t.Run(face, func(t *testing.T) {
			m, client := faced(t, face)
			button := "/redfish/v1/Systems/1/Actions/Oem/" + oem + ".PowerButton/"
			mode := `{"Attributes":{"BootMode":"LegacyBios"}}`
			if face == "hpe-ilo4" {
				mode = `{"BootMode":"LegacyBios"}`
			}
			play(t, m, client, []exchange{
				{"GET", "/redfish/v1/Systems/1/", "", 200},
				{"GET", "/redfish/v1/systems/1/bios/", "", 200},
				{"PATCH", "/redfish/v1/Systems/1/", `{"Boot":{"BootSourceOverrideMode":"Legacy"}}`, 400},
				{"PATCH", "/redfish/v1/systems/1/bios/settings/", mode, 200},
				{"POST", button, `{"PushType":"PressAndHold"}`, 400},
				{"POST", button, `{"PushType":"Hit"}`, 400},
			})
			if got := m.view().override.Mode; got != ModeUEFI {
				t.Errorf("before a start the mode is %s", got)
			}
			play(t, m, client, []exchange{{"POST", "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset/", `{"ResetType":"On"}`, 204}})
			eventually(t, "the machine starts", func() bool { return m.Snapshot().Powered })
			if got := m.view().override.Mode; got != ModeLegacy {
				t.Errorf("after a start the mode is %s", got)
			}
			play(t, m, client, []exchange{
				{"POST", "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset/", `{"ResetType":"On"}`, 400},
				{"POST", button, `{"PushType":"PressAndHold"}`, 204},
			})
			eventually(t, "the machine is off", func() bool { return !m.Snapshot().Powered })
		})
	}
}

// The boot override of an iDRAC means the machine's own CD drive; the virtual one is chosen by an import, for one start.
func TestFaceOfAnIDRAC(t *testing.T) {
	m, client := faced(t, "dell")
	const at = "/redfish/v1/Managers/iDRAC.Embedded.1"
	play(t, m, client, []exchange{
		{"POST", at + "/VirtualMedia/CD/Actions/VirtualMedia.InsertMedia", `{"Image":"http://192.0.2.1/boot.iso"}`, 204},
		{"PATCH", "/redfish/v1/Systems/System.Embedded.1", `{"Boot":{"BootSourceOverrideTarget":"Cd","BootSourceOverrideEnabled":"Once"}}`, 200},
		{"POST", at + "/Actions/Oem/EID_674_Manager.ImportSystemConfiguration", `{"ImportBuffer":"<"}`, 400},
	})
	var plan BootPlan
	m.change(func(s *state) { plan = s.powerUp() })
	if plan.Source != SourceCD || plan.Image != "" {
		t.Errorf("the override boots %+v", plan)
	}
	status, task := ask(t, m, client, "POST", at+"/Actions/Oem/EID_674_Manager.ImportSystemConfiguration",
		`{"ShareParameters":{"Target":"ALL"},"ImportBuffer":"<SystemConfiguration><Component FQDD=\"iDRAC.Embedded.1\">`+
			`<Attribute Name=\"ServerBoot.1#BootOnce\">Enabled</Attribute>`+
			`<Attribute Name=\"ServerBoot.1#FirstBootDevice\">VCD-DVD</Attribute></Component></SystemConfiguration>"}`)
	if status != http.StatusAccepted {
		t.Fatalf("the import was answered with %d", status)
	}
	play(t, m, client, []exchange{{"GET", task, "", 200}})
	for _, want := range []string{"http://192.0.2.1/boot.iso", ""} {
		m.change(func(s *state) { plan = s.powerUp() })
		if plan.Image != want && want != "" || want == "" && plan.Source == SourceCD {
			t.Errorf("the machine boots %+v, wanted %q", plan, want)
		}
	}
	play(t, m, client, []exchange{
		{"POST", at + "/Oem/Dell/DellJobService/Actions/DellJobService.DeleteJobQueue", `{"JobID":"JID_CLEARALL"}`, 200},
		{"POST", at + "/Oem/Dell/DellJobService/Actions/DellJobService.DeleteJobQueue", `{}`, 400},
		{"POST", at + "/Oem/Dell/DelliDRACCardService/Actions/DelliDRACCardService.iDRACReset", `{"Force":"Graceful"}`, 204},
	})
}

func TestUnknownFaceIsRefused(t *testing.T) {
	_, err := Open(t.Context(), Config{Count: 1, Dir: t.TempDir(), BMC: "acme"})
	if err == nil || err.Error() != `no BMC has the face "acme"; there are dell, fujitsu, hpe, hpe-ilo4` {
		t.Errorf("got %v", err)
	}
}
