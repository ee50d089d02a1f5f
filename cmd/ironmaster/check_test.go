package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/tftp"
	"github.com/ironmaster/ironmaster/messaging"
)

func TestChecksRunAtOnceAndPrintInOrder(t *testing.T) {
	second := make(chan struct{})
	checks := []check{
		{"first", func(ctx context.Context) []finding {
			select {
			case <-second:
			case <-ctx.Done():
				return []finding{{levelFail, "the second check did not run meanwhile", ""}}
			}
			return []finding{okay("all %s", "well")}
		}},
		{"second", func(context.Context) []finding {
			defer close(second)
			return []finding{{levelFail, "broken\nin two lines", "mend it"}, {levelWarn, "odd", "look at it"}}
		}},
	}
	var out strings.Builder
	err := runChecks(t.Context(), checks, &out)
	want := `ok    first          all well
FAIL  second         broken in two lines
             remedy: mend it
warn  second         odd
             remedy: look at it
`
	if out.String() != want || err == nil || err.Error() != "1 check failed" {
		t.Errorf("%v, printed\n%s want\n%s", err, out.String(), want)
	}
}

func TestChecksThatOnlyWarnDoNotFail(t *testing.T) {
	checks := []check{{"one", func(context.Context) []finding { return []finding{{levelWarn, "odd", "look at it"}} }}}
	if err := runChecks(t.Context(), checks, new(strings.Builder)); err != nil {
		t.Error(err)
	}
}

func TestNothingOfTheBuildIsMissingInTheCheck(t *testing.T) {
	parts, older := reflect.ValueOf(nominalParts(messaging.Newest)), reflect.ValueOf(nominalParts(messaging.V2025_1))
	for i := range parts.NumField() {
		field := parts.Type().Field(i)
		kind := field.Type.Kind()
		if (kind == reflect.Interface || kind == reflect.Bool) && field.Name != "BIOSSettings" && parts.Field(i).IsZero() && older.Field(i).IsZero() {
			t.Errorf("%s is part of the build and not of the check", field.Name)
		}
	}
}

// The orders are ironic's, and so are the releases that lack an interface or a type.
func TestVendorsTypesFollowTheRelease(t *testing.T) {
	for _, c := range []struct {
		release  messaging.Release
		hardware string
		typ      drivers.InterfaceType
		want     string
	}{
		{messaging.V2023_1, "ilo", drivers.TypeBoot, "ilo-virtual-media ilo-ipxe ilo-pxe"},
		{messaging.V2023_1, "ilo5", drivers.TypeBoot, "ilo-virtual-media ilo-ipxe ilo-pxe ilo-uefi-https"},
		{messaging.V2023_1, "ilo5", drivers.TypeConsole, "ilo no-console"},
		{messaging.V34_0, "ilo", drivers.TypeConsole, "ilo no-console fake-graphical"},
		{messaging.V2026_1, "ilo", drivers.TypeConsole, "no-console fake-graphical"},
		{messaging.V2026_1, "ilo", drivers.TypeBoot, "ilo-virtual-media ilo-ipxe ilo-pxe"},
		{messaging.Newest, "ilo", drivers.TypeBoot, ""},
		{messaging.V2023_1, "irmc", drivers.TypeBoot, "irmc-virtual-media ipxe irmc-pxe pxe"},
		{messaging.V2023_1, "irmc", drivers.TypeConsole, "ipmitool-socat ipmitool-shellinabox no-console"},
		{messaging.V34_0, "ipmi", drivers.TypeConsole, "ipmitool-socat ipmitool-shellinabox no-console fake-graphical"},
		{messaging.Newest, "ipmi", drivers.TypeConsole, "ipmitool-socat no-console fake-graphical"},
		{messaging.V2023_1, "irmc", drivers.TypePower, "irmc ipmitool"},
		{messaging.Newest, "irmc", drivers.TypePower, ""},
		{messaging.V2023_1, "redfish", drivers.TypeConsole, "no-console"},
		{messaging.V2025_2, "redfish", drivers.TypeConsole, "redfish-graphical no-console"},
		{messaging.Newest, "redfish", drivers.TypeConsole, "redfish-graphical ipmitool-socat no-console fake-graphical"},
	} {
		built := catalog.New(nominalParts(c.release))
		if got := strings.Join(built.Types[c.hardware].Supported[c.typ], " "); got != c.want {
			t.Errorf("%v: %s interfaces of %s are %q, want %q", c.release, c.typ, c.hardware, got, c.want)
		}
	}
}

func TestDefaultsAreTrimmedAndWishesAreNot(t *testing.T) {
	built := catalog.New(nominalParts(messaging.V2023_1))
	c := catalog.Config{
		HardwareTypes: catalog.List{Names: []string{"xclarity", "redfish"}},
		Interfaces: map[drivers.InterfaceType]catalog.List{
			drivers.TypeBoot:    {Names: []string{"http", "redfish-virtual-media"}},
			drivers.TypeDeploy:  {Names: []string{"direct", "anaconda"}, Explicit: true},
			drivers.TypeStorage: {Names: []string{"cinder", "nvme"}},
		},
	}
	left := trimDefaults(built, &c)
	if want := []string{"hardware types xclarity", "boot http", "storage nvme"}; !slices.Equal(left, want) {
		t.Errorf("left out %q, want %q", left, want)
	}
	if !slices.Equal(c.HardwareTypes.Names, []string{"redfish"}) || len(c.Interfaces[drivers.TypeDeploy].Names) != 2 ||
		!slices.Equal(c.Interfaces[drivers.TypeBoot].Names, []string{"redfish-virtual-media"}) {
		t.Errorf("what stays is %+v", c)
	}
}

func TestDirectoriesAreTriedWithoutMakingThem(t *testing.T) {
	base := t.TempDir()
	state := filepath.Join(base, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &config.Settings{}
	s.Ironmaster.StateFile = filepath.Join(state, "ironmaster.db")
	s.PXE.InstanceMasterPath, s.PXE.ImagesPath = filepath.Join(base, "a", "b"), filepath.Join(base, "c")
	s.Deploy.ISOMasterPath, s.Default.TempDir, s.Agent.CertificatesPath = base, base, base
	s.Agent.DeployLogsCollect = "never"
	c := &checker{first: s}
	if got := c.checkDirectories(t.Context()); len(got) != 1 || got[0].level != levelOK {
		t.Errorf("found %+v", got)
	}
	if entries, err := os.ReadDir(base); err != nil || len(entries) != 2 {
		t.Errorf("the check left %v, %v", entries, err)
	}
	s.PXE.ImagesPath = filepath.Join(file, "below")
	s.Ironmaster.StateFile = filepath.Join(base, "missing", "ironmaster.db")
	got := c.checkDirectories(t.Context())
	var text strings.Builder
	for _, f := range got {
		text.WriteString(f.text + "\n")
	}
	if !strings.Contains(text.String(), "[pxe]images_path: ") || !strings.Contains(text.String(), "[ironmaster]state_file") {
		t.Errorf("found %s", text.String())
	}
}

func TestWhoServesTFTP(t *testing.T) {
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	root := t.TempDir()
	for _, c := range []struct {
		name, boot, root, listen string
		levels                   []level
		text                     string
	}{
		{"not needed", "redfish-virtual-media", "/nowhere", "", nil, ""},
		{"served here", "ipxe", root, "127.0.0.1:0", []level{levelOK}, root},
		{"no folder", "pxe", "/nowhere", "127.0.0.1:0", []level{levelWarn, levelOK}, "[pxe]tftp_root: "},
		{"in use", "pxe", root, free.LocalAddr().String(), []level{levelFail}, "another program"},
		{"not ours", "pxe", root, "192.0.2.1:69", []level{levelFail}, "192.0.2.1:69"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &config.Settings{}
			s.Default.EnabledBoot, s.PXE.TFTPRoot = []string{c.boot}, c.root
			s.Ironmaster = config.Ironmaster{TFTPListen: c.listen, AdminListen: nobody(t)}
			got := (&checker{first: s}).checkTFTP(t.Context())
			var levels []level
			for _, f := range got {
				levels = append(levels, f.level)
			}
			if !slices.Equal(levels, c.levels) || len(got) > 0 && !strings.Contains(got[0].text, c.text) {
				t.Errorf("found %+v", got)
			}
		})
	}
}

func TestAnotherTFTPServerIsAsked(t *testing.T) {
	server := tftp.New(tftp.Config{Listen: "127.0.0.1:0", Root: t.TempDir(), MaxTransfers: 1}, nil, zerolog.Nop())
	addr, err := server.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if f := askTFTP(addr.String()); f.level != levelOK {
		t.Errorf("found %+v", f)
	}
	if err := server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f := askTFTP(addr.String()); f.level != levelWarn || f.remedy == "" {
		t.Errorf("without a server: %+v", f)
	}
}

func TestTheImageServersAddress(t *testing.T) {
	busy := operators(t, 200, "another program")
	for _, c := range []struct {
		name, listen, url string
		level             level
		text              string
	}{
		{"free", "127.0.0.1:0", "http://192.0.2.1:8182", levelOK, "http://192.0.2.1:8182"},
		{"loopback", "127.0.0.1:0", "http://127.0.0.1:8182", levelWarn, "127.0.0.1:8182"},
		{"in use", busy, "http://192.0.2.1:8182", levelFail, "another program listens at " + busy},
		{"not ours", "192.0.2.1:1", "http://192.0.2.1:8182", levelFail, "192.0.2.1:1"},
		{"no URL", "127.0.0.1:0", "192.0.2.1", levelFail, "[ironmaster]image_server_url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &config.Settings{}
			s.Ironmaster = config.Ironmaster{ImageServerListen: c.listen, ImageServerURL: c.url, AdminListen: nobody(t)}
			got := (&checker{first: s}).checkImageServer(t.Context())
			if len(got) != 1 || got[0].level != c.level || !strings.Contains(got[0].text, c.text) ||
				(got[0].remedy == "") != (c.level == levelOK) {
				t.Errorf("found %+v", got)
			}
		})
	}
}
