package room

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"
)

// bmcClient is an HTTP client that trusts the room's authority.
func bmcClient(t *testing.T, m *Machine) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(m.Info().CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("the CA file holds no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// connect logs in with gofish.
func connect(t *testing.T, m *Machine, change ...func(*gofish.ClientConfig)) *gofish.APIClient {
	t.Helper()
	config := gofish.ClientConfig{
		Endpoint:         m.Info().Address,
		Username:         m.Info().Username,
		Password:         m.Info().Password,
		HTTPClient:       bmcClient(t, m),
		ReuseConnections: true,
	}
	for _, do := range change {
		do(&config)
	}
	client, err := gofish.ConnectContext(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func theSystem(t *testing.T, client *gofish.APIClient) *schemas.ComputerSystem {
	t.Helper()
	systems, err := client.Service.Systems()
	if err != nil || len(systems) != 1 {
		t.Fatalf("systems %v, error %v", systems, err)
	}
	return systems[0]
}

func reset(t *testing.T, system *schemas.ComputerSystem, kind schemas.ResetType) {
	t.Helper()
	if _, err := system.Reset(kind); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
}

// theCD finds the virtual CD drive where the BMC has it.
func theCD(t *testing.T, client *gofish.APIClient) *schemas.VirtualMedia {
	t.Helper()
	media, err := theSystem(t, client).VirtualMedia()
	if err == nil && len(media) == 0 {
		var managers []*schemas.Manager
		if managers, err = client.Service.Managers(); err == nil {
			media, err = managers[0].VirtualMedia()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(media, func(v *schemas.VirtualMedia) bool {
		return slices.Contains(v.MediaTypes, schemas.CDVirtualMediaType)
	})
	if i < 0 {
		t.Fatal("there is no virtual CD drive")
	}
	return media[i]
}

func TestSessions(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	client := connect(t, m)
	session, err := client.GetSession()
	if err != nil {
		t.Fatal(err)
	}
	again := connect(t, m, func(c *gofish.ClientConfig) { c.Session = session })
	if theSystem(t, again).ODataID != m.Info().SystemID {
		t.Error("the system's path is not the inventory's")
	}
	client.Logout()
	if _, err := again.Get(systemsPath); statusOf(err) != http.StatusUnauthorized {
		t.Errorf("after the logout: %v", err)
	}
}

func TestManagerResetForgetsSessions(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	client := connect(t, m)
	managers, err := client.Service.Managers()
	if err != nil || len(managers) != 1 {
		t.Fatalf("managers %v, error %v", managers, err)
	}
	if _, err := managers[0].Reset(schemas.ForceRestartResetType); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(systemsPath); statusOf(err) != http.StatusUnauthorized {
		t.Errorf("after the reset: %v", err)
	}
}

func TestSessionLimit(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	for range maxSessions {
		connect(t, m)
	}
	_, err := gofish.ConnectContext(t.Context(), gofish.ClientConfig{Endpoint: m.Info().Address,
		Username: m.Info().Username, Password: m.Info().Password, HTTPClient: bmcClient(t, m)})
	if statusOf(err) != http.StatusServiceUnavailable {
		t.Errorf("one session too many: %v", err)
	}
}

func TestSessionTimeout(t *testing.T) {
	s := sessions{timeout: time.Hour}
	_, token, _ := s.add()
	if !s.use(token) {
		t.Error("a fresh session is not known")
	}
	s.open[0].used = time.Now().Add(-2 * time.Hour)
	if s.use(token) {
		t.Error("an old session is still known")
	}
}

func TestAuthentication(t *testing.T) {
	wrong := func(c *gofish.ClientConfig) { c.Password = "wrong" }
	basic := func(c *gofish.ClientConfig) { c.BasicAuth = true }
	for name, test := range map[string]struct {
		room   Config
		client []func(*gofish.ClientConfig)
		want   int
	}{
		"session":                  {},
		"basic":                    {client: []func(*gofish.ClientConfig){basic}},
		"wrong password":           {client: []func(*gofish.ClientConfig){wrong}, want: 401},
		"basic, wrong password":    {client: []func(*gofish.ClientConfig){basic, wrong}, want: 401},
		"emulator, session":        {room: Config{Quirks: Quirks{BasicOnly: 1}}, want: 401},
		"emulator, basic":          {room: Config{Quirks: Quirks{BasicOnly: 1}}, client: []func(*gofish.ClientConfig){basic}},
		"changed password":         {room: Config{Faults: Faults{WrongPassword: 1}}, want: 401},
		"changed password by name": {room: Config{FaultsOf: map[string]Faults{"machine-0000": {WrongPassword: 1}}}, want: 401},
	} {
		t.Run(name, func(t *testing.T) {
			m := openRoom(t, test.room).Machines()[0]
			config := gofish.ClientConfig{Endpoint: m.Info().Address, Username: m.Info().Username,
				Password: m.Info().Password, HTTPClient: bmcClient(t, m)}
			for _, do := range test.client {
				do(&config)
			}
			client, err := gofish.ConnectContext(t.Context(), config)
			if err == nil {
				var response *http.Response
				if response, err = client.Get(systemsPath); err == nil {
					response.Body.Close()
				}
			}
			if statusOf(err) != test.want {
				t.Errorf("error %v, want status %d", err, test.want)
			}
		})
	}
}

// statusOf is the HTTP status in an error of gofish, 0 when there is none.
func statusOf(err error) int {
	var failure *schemas.Error
	if errors.As(err, &failure) {
		return failure.HTTPReturnedStatusCode
	}
	return 0
}

func TestPower(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	client := connect(t, m)
	starts := 0
	for _, step := range []struct {
		kind    schemas.ResetType
		powered bool
		starts  int
	}{
		{schemas.OnResetType, true, 1},
		{schemas.OnResetType, true, 0},
		{schemas.ForceRestartResetType, true, 1},
		{schemas.GracefulShutdownResetType, false, 0},
		{schemas.PushPowerButtonResetType, true, 1},
		{schemas.ForceOffResetType, false, 0},
	} {
		reset(t, theSystem(t, client), step.kind)
		starts += step.starts
		want := schemas.OffPowerState
		if step.powered {
			want = schemas.OnPowerState
		}
		eventually(t, string(step.kind), func() bool {
			return theSystem(t, client).PowerState == want && m.Snapshot().Starts == starts
		})
	}
}

func TestPowerTakesTime(t *testing.T) {
	m := openRoom(t, Config{PowerDelay: time.Hour}).Machines()[0]
	client := connect(t, m)
	reset(t, theSystem(t, client), schemas.OnResetType)
	if state := theSystem(t, client).PowerState; state != schemas.OffPowerState {
		t.Errorf("the machine is %s before its time", state)
	}
}

func TestStuckPower(t *testing.T) {
	m := openRoom(t, Config{Faults: Faults{StuckPower: 1}}).Machines()[0]
	client := connect(t, m)
	reset(t, theSystem(t, client), schemas.OnResetType)
	if len(m.changes) != 0 || m.Snapshot().Powered {
		t.Error("the power changes")
	}
}

func TestBootOverride(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	client := connect(t, m)
	for _, test := range []struct {
		enabled, after schemas.BootSourceOverrideEnabled
	}{
		{schemas.OnceBootSourceOverrideEnabled, schemas.DisabledBootSourceOverrideEnabled},
		{schemas.ContinuousBootSourceOverrideEnabled, schemas.ContinuousBootSourceOverrideEnabled},
	} {
		err := theSystem(t, client).SetBoot(&schemas.Boot{
			BootSourceOverrideTarget: schemas.CdBootSource, BootSourceOverrideEnabled: test.enabled,
			BootSourceOverrideMode: schemas.LegacyBootSourceOverrideMode,
		})
		if err != nil {
			t.Fatal(err)
		}
		if boot := theSystem(t, client).Boot; boot.BootSourceOverrideTarget != schemas.CdBootSource ||
			boot.BootSourceOverrideEnabled != test.enabled || boot.BootSourceOverrideMode != schemas.LegacyBootSourceOverrideMode {
			t.Errorf("the override reads back as %+v", boot)
		}
		reset(t, theSystem(t, client), schemas.ForceRestartResetType)
		eventually(t, "the boot", func() bool { return m.Snapshot().Booted == BootFailed })
		if boot := theSystem(t, client).Boot; boot.BootSourceOverrideEnabled != test.after {
			t.Errorf("after a boot %s became %s, want %s", test.enabled, boot.BootSourceOverrideEnabled, test.after)
		}
	}
}

func TestVirtualMedia(t *testing.T) {
	const image = "http://127.0.0.1:1/boot.iso"
	for name, quirks := range map[string]Quirks{
		"actions":          {},
		"patch":            {PatchMedia: 1},
		"patch with etags": {PatchMedia: 1, RequireETag: 1},
		"at the system":    {SystemMedia: 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := openRoom(t, Config{Quirks: quirks}).Machines()[0]
			client := connect(t, m)
			cd := theCD(t, client)
			if cd.SupportsMediaInsert == (quirks.PatchMedia == 1) {
				t.Errorf("actions offered: %v", cd.SupportsMediaInsert)
			}
			yes := true
			insert := &schemas.VirtualMediaInsertMediaParameters{Image: image, Inserted: &yes, WriteProtected: &yes}
			if _, err := cd.InsertMedia(insert); err != nil {
				t.Fatal(err)
			}
			cd = theCD(t, client)
			if cd.Image != image || !*cd.Inserted || m.Snapshot().Media != image {
				t.Errorf("after inserting: %q, inserted %v", cd.Image, *cd.Inserted)
			}
			if _, err := cd.InsertMedia(insert); statusOf(err) != http.StatusConflict {
				t.Errorf("inserting on top: %v", err)
			}
			if _, err := theCD(t, client).EjectMedia(); err != nil {
				t.Fatal(err)
			}
			if cd = theCD(t, client); cd.Image != "" || *cd.Inserted {
				t.Errorf("after ejecting: %q, inserted %v", cd.Image, *cd.Inserted)
			}
		})
	}
}

func TestHardware(t *testing.T) {
	m := openRoom(t, Config{DiskSize: 1 << 30, MemoryMB: 2048}).Machines()[0]
	client := connect(t, m)
	system := theSystem(t, client)
	if system.Manufacturer != "Ironmaster" || *system.MemorySummary.TotalSystemMemoryGiB != 2 {
		t.Errorf("the system: %s, %v GiB", system.Manufacturer, system.MemorySummary.TotalSystemMemoryGiB)
	}
	nics, err := system.EthernetInterfaces()
	var macs []string
	for _, nic := range nics {
		macs = append(macs, strings.ToLower(nic.MACAddress))
	}
	if slices.Sort(macs); err != nil || !slices.Equal(macs, m.Info().MACs) {
		t.Errorf("network cards %v, error %v", macs, err)
	}
	processors, err := system.Processors()
	if err != nil || len(processors) != 1 {
		t.Errorf("processors %v, error %v", processors, err)
	}
	stores, err := system.Storage()
	if err != nil || len(stores) != 1 {
		t.Fatalf("storage %v, error %v", stores, err)
	}
	drives, err := stores[0].Drives()
	if err != nil || len(drives) != 1 || *drives[0].CapacityBytes != 1<<30 {
		t.Errorf("drives %+v, error %v", drives, err)
	}
}

func TestIndicators(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	client := connect(t, m)
	chassis, err := client.Service.Chassis()
	if err != nil || len(chassis) != 1 {
		t.Fatalf("chassis %v, error %v", chassis, err)
	}
	for _, path := range []string{m.Info().SystemID, chassis[0].ODataID, m.Info().SystemID + "/Storage/1/Drives/1"} {
		for _, test := range []struct {
			set  map[string]any
			want string
		}{
			{map[string]any{"IndicatorLED": "Blinking"}, `"IndicatorLED":"Blinking","LocationIndicatorActive":true`},
			{map[string]any{"IndicatorLED": "Lit"}, `"IndicatorLED":"Lit","LocationIndicatorActive":false`},
			{map[string]any{"LocationIndicatorActive": true}, `"IndicatorLED":"Blinking","LocationIndicatorActive":true`},
			{map[string]any{"LocationIndicatorActive": false}, `"IndicatorLED":"Off","LocationIndicatorActive":false`},
		} {
			response, err := client.Patch(path, test.set)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(response.Body)
			response.Body.Close()
			var lamp struct {
				IndicatorLED            string
				LocationIndicatorActive bool
			}
			if err := errors.Join(err, json.Unmarshal(text, &lamp)); err != nil {
				t.Fatal(err)
			}
			if got, err := json.Marshal(lamp); err != nil || string(got) != "{"+test.want+"}" {
				t.Errorf("%s after %v: %s", path, test.set, got)
			}
		}
	}
}

func TestSecureBootAndBiosWaitForTheNextBoot(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	client := connect(t, m)
	for path, body := range map[string]any{
		"/SecureBoot":    map[string]any{"SecureBootEnable": true},
		"/Bios/Settings": map[string]any{"Attributes": map[string]any{"QuietBoot": false}},
	} {
		response, err := client.Patch(m.Info().SystemID+path, body)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	look := func() (schemas.SecureBootCurrentBootType, bool) {
		secure, err := theSystem(t, client).SecureBoot()
		if err != nil || !secure.SecureBootEnable {
			t.Fatalf("secure boot %+v, error %v", secure, err)
		}
		bios, err := theSystem(t, client).Bios()
		if err != nil {
			t.Fatal(err)
		}
		return secure.SecureBootCurrentBoot, bios.Attributes.Bool("QuietBoot")
	}
	if current, quiet := look(); current != "Disabled" || !quiet {
		t.Errorf("before the boot: secure boot %s, quiet %v", current, quiet)
	}
	reset(t, theSystem(t, client), schemas.OnResetType)
	eventually(t, "power", func() bool { return m.Snapshot().Powered })
	if current, quiet := look(); current != "Enabled" || quiet {
		t.Errorf("after the boot: secure boot %s, quiet %v", current, quiet)
	}
}

func TestRedfishErrors(t *testing.T) {
	m := openRoom(t, Config{Quirks: Quirks{RequireETag: 1}}).Machines()[0]
	client := bmcClient(t, m)
	system := m.Info().SystemID
	for _, test := range []struct {
		method, path, body, match string
		anonymous                 bool
		status                    int
		id                        string
	}{
		{method: "GET", path: "/redfish", anonymous: true, status: 200},
		{method: "GET", path: "/redfish/v1/", anonymous: true, status: 200},
		{method: "GET", path: systemsPath + "/", status: 200},
		{method: "GET", path: system, anonymous: true, status: 401, id: "InsufficientPrivilege"},
		{method: "GET", path: "/redfish/v1/Nothing", status: 404, id: "ResourceMissingAtURI"},
		{method: "GET", path: systemsPath + "/other", status: 404, id: "ResourceMissingAtURI"},
		{method: "DELETE", path: system, status: 405, id: "OperationNotAllowed"},
		{method: "PATCH", path: system, body: `{}`, status: 428, id: "PreconditionRequired"},
		{method: "PATCH", path: system, body: `{}`, match: `"old"`, status: 412, id: "PreconditionFailed"},
		{method: "PATCH", path: system, body: `{`, match: "*", status: 400, id: "MalformedJSON"},
		{method: "PATCH", path: system, body: `[]`, match: "*", status: 400, id: "MalformedJSON"},
		{method: "PATCH", path: system, body: `{"Nonsense":1}`, match: "*", status: 400, id: "PropertyUnknown"},
		{method: "PATCH", path: system, body: `{"Boot":{"BootSourceOverrideTarget":"Tape"}}`, match: "*", status: 400, id: "PropertyValueNotInList"},
		{method: "PATCH", path: system, body: `{"Boot":{"BootSourceOverrideTarget":1}}`, match: "*", status: 400, id: "PropertyValueTypeError"},
		{method: "POST", path: system + "/Actions/ComputerSystem.Reset", body: `{}`, status: 400, id: "ActionParameterMissing"},
		{method: "POST", path: system + "/Actions/ComputerSystem.Reset", body: `{"ResetType":"Explode"}`, status: 400, id: "ActionParameterValueFormatError"},
		{method: "POST", path: managersPath + "/BMC/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia", body: `{}`, status: 400, id: "ActionParameterMissing"},
		{method: "POST", path: managersPath + "/BMC/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia", body: `{"Image":"cd.iso"}`, status: 400, id: "ActionParameterValueFormatError"},
		{method: "POST", path: managersPath + "/BMC/VirtualMedia/Tape/Actions/VirtualMedia.InsertMedia", body: `{"Image":"http://a/b"}`, status: 404, id: "ResourceMissingAtURI"},
	} {
		name := fmt.Sprintf("%s %s %s", test.method, test.path, test.body)
		request, err := http.NewRequestWithContext(t.Context(), test.method, m.Info().Address+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if !test.anonymous {
			request.SetBasicAuth(m.Info().Username, m.Info().Password)
		}
		if test.match != "" {
			request.Header.Set("If-Match", test.match)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != test.status {
			t.Errorf("%s: status %d (%v), want %d", name, response.StatusCode, err, test.status)
		}
		var answer struct {
			Error struct {
				Info []struct{ MessageId, Message string } `json:"@Message.ExtendedInfo"`
			} `json:"error"`
		}
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(&answer); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if test.id != "" && (len(answer.Error.Info) != 1 || answer.Error.Info[0].MessageId != "Base.1.8."+test.id) {
			t.Errorf("%s: %s", name, text)
		}
	}
}
