package redfish_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// parts serves every href as its own name.
type parts struct{}

func (parts) Revision(context.Context, string) (string, error) { return "1", nil }

func (parts) Fetch(_ context.Context, href string, w *os.File) error {
	_, err := io.WriteString(w, strings.Repeat(href+" ", 300))
	return err
}

// publisher is an HTTP server for boot ISOs.
type publisher struct {
	url string

	mu    sync.Mutex
	isos  map[string]redfish.Content // by node
	count int
	// secrets are those of all publications, in order.
	secrets []string
	// drives are the config drives that were published, in order.
	drives []string
}

func newPublisher(t *testing.T) *publisher {
	p := &publisher{isos: map[string]redfish.Content{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	node, _ := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/boot.iso")
	p.mu.Lock()
	content := p.isos[node]
	p.mu.Unlock()
	if content == nil {
		http.NotFound(w, r)
		return
	}
	reader, err := content.Open()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer reader.Close()
	http.ServeContent(w, r, "boot.iso", time.Time{}, reader)
}

func (p *publisher) PublishISO(_ context.Context, t *drivers.Task, content redfish.Content, secret string) (
	redfish.Published, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isos[t.Node.UUID] = content
	p.count++
	if secret == "" {
		secret = fmt.Sprint("secret-", p.count)
	}
	p.secrets = append(p.secrets, secret)
	return redfish.Published{URL: p.url + "/" + t.Node.UUID + "/boot.iso", Secret: secret}, nil
}

func (p *publisher) WithdrawISO(_ context.Context, n *store.Node) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.isos, n.UUID)
	return nil
}

func (p *publisher) PublishDrive(_ context.Context, t *drivers.Task, content []byte, secret string) (redfish.Published, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drives = append(p.drives, string(content))
	if secret == "" {
		secret = fmt.Sprint("drive-", len(p.drives))
	}
	return redfish.Published{URL: p.url + "/" + t.Node.UUID + "/" + secret + ".img", Secret: secret}, nil
}

func (p *publisher) WithdrawDrive(context.Context, *store.Node) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drives = append(p.drives, "withdrawn")
	return nil
}

// text is the ISO published for a node.
func (p *publisher) text(t *testing.T, node string) string {
	t.Helper()
	p.mu.Lock()
	content := p.isos[node]
	p.mu.Unlock()
	if content == nil {
		t.Fatalf("nothing is published for %s", node)
	}
	r, err := content.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func isos(t *testing.T) *bootiso.Builder {
	t.Helper()
	loader := filepath.Join(t.TempDir(), "isolinux.bin")
	if err := os.WriteFile(loader, make([]byte, 3000), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := bootiso.Open(bootiso.Config{Dir: t.TempDir(), Keep: 1, IsolinuxBin: loader}, parts{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mediaConfig() redfish.VirtualMediaConfig {
	return redfish.VirtualMediaConfig{DefaultBootMode: "uefi", DownloadSource: "local", KernelAppendParams: "nofb vga=normal",
		Images: redfish.Images{Bootloader: "esp"}}
}

// cd adds a virtual CD drive to a BMC.
func (b *bmc) cd(actions bool, types ...any) object {
	at := "/redfish/v1/Managers/m/VirtualMedia/Cd"
	b.media[at] = object{"@odata.id": at, "Id": "Cd", "MediaTypes": types, "Inserted": false, "Image": nil}
	if actions {
		b.media[at]["Actions"] = object{
			"#VirtualMedia.InsertMedia": object{"target": at + "/Actions/VirtualMedia.InsertMedia"},
			"#VirtualMedia.EjectMedia":  object{"target": at + "/Actions/VirtualMedia.EjectMedia"}}
	}
	return b.media[at]
}

// vmedia returns a task of a deployment by virtual media.
func vmedia(t *testing.T, b *bmc, cfg redfish.VirtualMediaConfig) (*drivers.Task, *worker, *publisher) {
	t.Helper()
	c := open(t, quick())
	p := newPublisher(t)
	x, w := task(c, b.url)
	x.Hardware.Boot = redfish.NewVirtualMedia(c, cfg, isos(t), p)
	x.Node.ProvisionState = store.Deploying
	x.Node.DriverInfo["deploy_kernel"], x.Node.DriverInfo["deploy_ramdisk"] = "kernel", "ramdisk"
	return x, w, p
}

func TestVirtualMediaValidate(t *testing.T) {
	missing := func(names string) string {
		return "Error validating Redfish virtual media. Some parameters were missing in node's driver_info. Missing are: [" +
			names + "]"
	}
	cfg := mediaConfig()
	cfg.ImagesByArch = map[string]redfish.Images{"aarch64": {DeployKernel: "k", DeployRamdisk: "r"}}
	for _, c := range []struct {
		name, state string
		info        store.Dict
		properties  store.Dict
		kind        store.Kind
		text        string
	}{
		{"both", "available", store.Dict{"deploy_kernel": "k", "deploy_ramdisk": "r"}, nil, "", ""},
		{"ISO", "available", store.Dict{"deploy_iso": "i"}, nil, "", ""},
		{"old name", "available", store.Dict{"redfish_deploy_iso": "i"}, nil, "", ""},
		{"none", "available", nil, nil, store.MissingParameterValue, missing("'deploy_kernel', 'deploy_ramdisk'")},
		{"half", "available", store.Dict{"deploy_kernel": "k"}, nil, store.MissingParameterValue,
			missing("'deploy_kernel', 'deploy_ramdisk'")},
		{"by architecture", "available", nil, store.Dict{"cpu_arch": "aarch64"}, "", ""},
		{"rescue", "rescuing", store.Dict{"deploy_kernel": "k", "deploy_ramdisk": "r"}, nil, store.MissingParameterValue,
			missing("'rescue_kernel', 'rescue_ramdisk'")},
		{"no BMC", "available", store.Dict{"deploy_iso": "i", "redfish_address": nil}, nil, store.MissingParameterValue,
			"Missing the following Redfish properties in node n driver_info: ['redfish_address']"},
	} {
		n := &store.Node{UUID: "n", ProvisionState: c.state, DriverInfo: store.Dict{"redfish_address": "bmc"},
			Properties: c.properties}
		maps.Copy(n.DriverInfo, c.info)
		v := redfish.NewVirtualMedia(redfish.New(quick(), zerolog.Nop()), cfg, nil, nil)
		err := v.Validate(t.Context(), &drivers.Task{Node: n})
		if store.KindOf(err) != c.kind || err != nil && err.Error() != c.text {
			t.Errorf("%s: %v, want %s", c.name, err, c.text)
		}
	}
}

func TestPrepareRamdisk(t *testing.T) {
	for name, c := range map[string]struct {
		actions bool
		types   []any
		insert  string
	}{
		"actions":  {true, []any{"CD", "DVD"}, `POST /redfish/v1/Managers/m/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia {"Image":"URL"}`},
		"PATCH":    {false, []any{"CD"}, `PATCH /redfish/v1/Managers/m/VirtualMedia/Cd {"Image":"URL","Inserted":true,"WriteProtected":true}`},
		"DVD only": {true, []any{"DVD"}, `POST /redfish/v1/Managers/m/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia {"Image":"URL"}`},
	} {
		b := newBMC(t)
		medium := b.cd(c.actions, c.types...)
		medium["Image"], medium["Inserted"] = "http://old/one.iso", true
		cfg := mediaConfig()
		cfg.Debug = true
		x, w, p := vmedia(t, b, cfg)
		x.GlobalRequestID = "req-1"
		params := map[string]string{"ipa-api-url": "http://192.0.2.1:6385"}
		if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, params); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		url := p.url + "/node-1/boot.iso"
		sent := b.changes()
		if len(sent) != 3 || sent[1] != strings.ReplaceAll(c.insert, "URL", url) || !strings.Contains(sent[2], `"Cd"`) {
			t.Errorf("%s: sent %q", name, sent)
		}
		token := x.Node.DriverInternalInfo.String("agent_secret_token")
		if len(token) != 43 || x.Node.DriverInternalInfo["agent_secret_token_pregenerated"] != true || w.saved == 0 {
			t.Errorf("%s: driver_internal_info %v, saved %d times", name, x.Node.DriverInternalInfo, w.saved)
		}
		line := "linux /vmlinuz nofb vga=normal boot_method=vmedia ipa-agent-token=" + token +
			" ipa-api-url=http://192.0.2.1:6385 ipa-debug=1 ipa-global-request-id=req-1 ir_pub_id="
		if !strings.Contains(p.text(t, "node-1"), line) {
			t.Errorf("%s: the ISO has no %q", name, line)
		}
		if !slices.Equal(w.power, []string{store.PowerOff}) || len(params) != 1 {
			t.Errorf("%s: power %q, the caller's parameters %v", name, w.power, params)
		}

		// Again: the ISO stays in, the token stays.
		if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, params); err != nil {
			t.Errorf("%s again: %v", name, err)
		}
		for _, change := range b.changes() {
			if strings.Contains(change, "VirtualMedia") {
				t.Errorf("%s again: sent %s", name, change)
			}
		}
		if got := x.Node.DriverInternalInfo.String("agent_secret_token"); got != token {
			t.Errorf("%s again: another token", name)
		}

		if err := x.Hardware.Boot.CleanUpRamdisk(t.Context(), x); err != nil {
			t.Errorf("%s: cleaning up: %v", name, err)
		}
		if medium["Inserted"] != false || medium["Image"] != nil || len(p.isos) != 0 {
			t.Errorf("%s: after cleaning up %v, %d ISOs", name, medium, len(p.isos))
		}
	}
}

func TestKernelParameters(t *testing.T) {
	for name, c := range map[string]struct {
		instance, driver any
		want             string
	}{
		"configured": {nil, nil, "nofb vga=normal boot_method=vmedia "},
		"driver":     {nil, "console=ttyS0", "console=ttyS0 boot_method=vmedia "},
		"default":    {nil, "a %default% b", "a nofb vga=normal b boot_method=vmedia "},
		"instance":   {"x=1\ny=2", "console=ttyS0", "x=1y=2 boot_method=vmedia "},
	} {
		b := newBMC(t)
		b.cd(true, "CD")
		x, _, p := vmedia(t, b, mediaConfig())
		x.Node.InstanceInfo["kernel_append_params"], x.Node.DriverInfo["kernel_append_params"] = c.instance, c.driver
		if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !strings.Contains(p.text(t, "node-1"), "linux /vmlinuz "+c.want) {
			t.Errorf("%s: the ISO has no %q", name, c.want)
		}
		if err := x.Hardware.Boot.CleanUpRamdisk(t.Context(), x); err != nil {
			t.Error(err)
		}
	}
}

func TestReadyMadeISO(t *testing.T) {
	b := newBMC(t)
	medium := b.cd(true, "CD")
	x, _, p := vmedia(t, b, mediaConfig())
	x.Node.DriverInfo["deploy_iso"] = "http://images/agent.iso"
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	if got := p.text(t, "node-1"); !strings.HasPrefix(got, "http://images/agent.iso") {
		t.Errorf("published %.40q", got)
	}
	if _, made := x.Node.DriverInternalInfo["agent_secret_token"]; made {
		t.Error("a token was made that no ISO carries")
	}
	cfg := mediaConfig()
	cfg.DownloadSource = "http"
	x, _, p = vmedia(t, b, cfg)
	x.Node.DriverInfo["deploy_iso"] = "http://images/agent.iso"
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	if medium["Image"] != "http://images/agent.iso" || p.count != 0 {
		t.Errorf("inserted %v, published %d", medium["Image"], p.count)
	}
}

func TestInsertRefused(t *testing.T) {
	b := newBMC(t)
	b.cd(true, "CD")
	x, _, p := vmedia(t, b, mediaConfig())
	tries := 0
	b.refuse = func(path string, body object) (int, string) {
		tries++
		return 500, "cannot read " + body["Image"].(string)
	}
	err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.RedfishError, "Inserting virtual media failed for node node-1. Error: ", "cannot read ***")
	if strings.Contains(err.Error(), p.url) || tries != 3 {
		t.Errorf("%d tries, %q", tries, err)
	}
	b.refuse = func(path string, body object) (int, string) {
		if strings.Contains(path, "VirtualMedia") && body["TransferProtocolType"] != "HTTP" {
			return 400, "TransferProtocolType is required"
		}
		return 0, ""
	}
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Errorf("with the protocol: %v", err)
	}
	b.set(func() { clear(b.media) })
	redfishtest.WantError(t, x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil), store.InvalidParameterValue,
		"No suitable virtual media device found")
	x.Node.DriverInfo["kernel_append_params"] = strings.Repeat("x", 3000)
	redfishtest.WantError(t, x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil), store.ImageCreationFailed, "2047")
}

func TestOldDellIsRefused(t *testing.T) {
	b := newBMC(t)
	b.cd(true, "CD")
	x, w, _ := vmedia(t, b, mediaConfig())
	x.Node.Properties["vendor"] = "Dell Inc."
	err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.InvalidParameterValue)
	want := "The redfish-virtual-media boot interface is not suitable for node node-1 with vendor Dell Inc. and BMC version " +
		"5.10.00.00, upgrade to 6.00.00.00 or newer or use idrac-redfish-virtual-media instead"
	if err.Error() != want || len(w.power) != 0 {
		t.Errorf("got %q, power %q", err, w.power)
	}
}

func TestPrepareAndCleanUpInstance(t *testing.T) {
	b := newBMC(t)
	medium := b.cd(true, "CD")
	medium["Image"], medium["Inserted"] = "http://old/one.iso", true
	at := systemAt + "/SecureBoot"
	b.media[at] = object{"@odata.id": at, "Id": "SecureBoot", "SecureBootEnable": false}
	x, _, _ := vmedia(t, b, mediaConfig())
	x.Node.InstanceInfo["capabilities"] = map[string]any{"secure_boot": "true"}
	if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if medium["Inserted"] != false || b.boot("Target") != "Hdd" || b.boot("Enabled") != "Continuous" || b.media[at]["SecureBootEnable"] != true {
		t.Errorf("drive %v, boot %v %v, secure boot %v", medium, b.boot("Target"), b.boot("Enabled"), b.media[at])
	}
	if err := x.Hardware.Boot.CleanUpInstance(t.Context(), x); err != nil || b.media[at]["SecureBootEnable"] != false {
		t.Errorf("%v, secure boot %v", err, b.media[at])
	}
}

func TestNodesThatAreLeftAlone(t *testing.T) {
	b := newBMC(t)
	b.raw = func(http.ResponseWriter, *http.Request) { t.Error("the BMC was asked") }
	x, w, p := vmedia(t, b, mediaConfig())
	x.Node.ProvisionState = store.Adopting
	boot := x.Hardware.Boot
	err := errors.Join(boot.PrepareRamdisk(t.Context(), x, nil), boot.CleanUpRamdisk(t.Context(), x),
		boot.PrepareInstance(t.Context(), x), boot.CleanUpInstance(t.Context(), x))
	x.Node.ProvisionState = store.Active
	err = errors.Join(err, boot.PrepareRamdisk(t.Context(), x, nil))
	if err != nil || p.count != 0 || len(w.power) != 0 {
		t.Errorf("%v, %d ISOs, power %q", err, p.count, w.power)
	}
}

func TestARunningAgentKeepsItsISO(t *testing.T) {
	b := newBMC(t)
	medium := b.cd(true, "CD")
	medium["Image"], medium["Inserted"] = "http://old/one.iso", true
	cfg := mediaConfig()
	cfg.AgentRuns = func(context.Context, *drivers.Task) bool { return true }
	x, w, p := vmedia(t, b, cfg)
	boot := x.Hardware.Boot
	err := errors.Join(boot.PrepareRamdisk(t.Context(), x, nil), boot.CleanUpRamdisk(t.Context(), x))
	if err != nil || len(b.changes()) != 0 || p.count != 0 || len(w.power) != 0 {
		t.Errorf("%v, %d ISOs, power %q", err, p.count, w.power)
	}
}

func TestResumeServesTheSameISOAfterARestart(t *testing.T) {
	b := newBMC(t)
	b.cd(true, "CD")
	x, _, before := vmedia(t, b, mediaConfig())
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, map[string]string{"ipa-api-url": "http://192.0.2.1:6385"}); err != nil {
		t.Fatal(err)
	}
	was := before.text(t, "node-1")
	restarted := func() (*redfish.VirtualMedia, *publisher) {
		p := newPublisher(t)
		return redfish.NewVirtualMedia(open(t, quick()), mediaConfig(), isos(t), p), p
	}
	x.Node.ProvisionState = store.DeployWait
	v, after := restarted()
	for range 2 {
		if err := v.Resume(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(after.secrets, before.secrets) {
		t.Errorf("published with the secrets %v, before %v", after.secrets, before.secrets)
	}
	line := func(iso string) string {
		_, rest, _ := strings.Cut(iso, "linux /vmlinuz ")
		text, _, _ := strings.Cut(rest, "\n")
		return text
	}
	if now := after.text(t, "node-1"); line(now) != line(was) || !strings.Contains(line(now), "ipa-agent-token=") {
		t.Errorf("the command line on the ISO is %q, it was %q", line(now), line(was))
	}
	// The machine may have read the command line before, and looks for the publisher after the restart.
	_, publisher, _ := strings.Cut(line(was), "ir_pub_id=")
	if id := strings.Fields(publisher)[0]; strings.Count(after.text(t, "node-1"), id) != 2 {
		t.Errorf("the ISO is not that of publisher %s", id)
	}
	if err := v.CleanUpRamdisk(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	v, after = restarted()
	if err := v.Resume(t.Context(), x); err != nil || len(after.secrets) > 0 {
		t.Errorf("an ISO that was ejected is served again: %v", err)
	}
}
