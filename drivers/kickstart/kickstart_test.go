package kickstart

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

const whole = "{{ ks_options.liveimg_url }} {{ ks_options.agent_token }} {{ ks_options.heartbeat_url }} {{ ks_options.config_drive }}\n"

func TestCheck(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("the host's own"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, template, text string }{
		{"the built-in one", string(Default), ""},
		{"whole", whole, ""},
		{"one with all that there is", "{% raw %}{{ + }}{% endraw %}{% if not ks_options['liveimg_url']|lower == 'X' and 1 < 2 %}y{% elif false %}" +
			"{% else %}{{ 'n'|default('z')|upper|trim }}{% endif %}{# a + b #}" + whole, ""},
		{"one with many words", strings.Repeat("{# a #}\n", 200) + strings.Repeat("{{ 'x' }}", 5000) + whole, ""},
		{"one that asks", "{% if 'insecure_heartbeat' in ks_options %}-k{% endif %}" + whole, ""},
		{"an option that there is not", whole + "{{ ks_options.nonsense }}",
			"The kickstart template includes a variable that is not a valid kickstart option"},
		{"without a token", "{{ ks_options.liveimg_url }} {{ ks_options.heartbeat_url }}",
			"Following required kickstart option variables are missing from the kickstart template: agent_token."},
		{"without anything", "text\n", "liveimg_url,agent_token,heartbeat_url."},
		{"broken", "the host's own {% if %}", "failed to parse it: Unable to parse controlStructure \"if\""},
		{"a call of itself", whole + "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "failed to parse it"},
		{"a loop within itself", whole + "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "failed to parse it"},
		{"itself", whole + "{% include '/kickstart' %}", "failed to parse it"},
		{"too much memory", whole + "{{ 'x' * 1000000000000 }}", "the operator * is not available, in line 2"},
		{"values put together", whole + "{{ ks_options.config_drive ~ ks_options.config_drive }}", "the operator ~ is not available"},
		{"a filter that makes more", whole + "{{ 'x'|center(1000000000000) }}", "a variable that is not"},
		{"a method that makes more", whole + "{{ 'x'.ljust(1000000000000) }}", "a variable that is not"},
		{"a function", whole + "{{ lipsum(1000000) }}", "a variable that is not"},
		{"too deep", whole + "{{ " + strings.Repeat("(", 100000) + "1" + strings.Repeat(")", 100000) + " }}", "what stands in line 2 is too long"},
		{"statements too deep", whole + strings.Repeat("{% if true %}", 2000), "it has more than 1000 statements"},
		{"a file of the host", whole + "{% include '" + secret + "' %}", "a variable that is not"},
		{"a loop without end", whole + "{% for i in range(1000000000000) %}x{% endfor %}", "a variable that is not"},
		{"too large", strings.Repeat("x", MaxTemplate+1), "bytes"},
	} {
		err := Template{Text: []byte(c.template)}.Check()
		if (err != nil) != (c.text != "") || err != nil && (store.KindOf(err) != store.InvalidKickstartTemplate ||
			!strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "the host's own")) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestRender(t *testing.T) {
	text, err := Template{Text: Default}.Render(Options{LiveImageURL: "http://worker/disk", AgentToken: "TOKEN", HeartbeatURL: "http://api/v1/heartbeat/n",
		ConfigDrive: "DRIVE", Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"liveimg --url http://worker/disk\n", `"agent_token": "TOKEN", "agent_status": "start"`,
		`"agent_status": "end"`, `"agent_status": "error"`, "}' http://api/v1/heartbeat/n\n", "\nDRIVE\n", "/usr/bin/curl --insecure -X POST"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	text, err = Template{Text: Default}.Render(Options{LiveImageURL: "http://tree/", Tree: true})
	if err != nil || !strings.Contains(string(text), "url --url http://tree/\n") || strings.Contains(string(text), "liveimg") ||
		strings.Contains(string(text), "--insecure") {
		t.Errorf("%v\n%s", err, text)
	}
}

// An installer's word may come while ironic cannot take it.
func TestTheBuiltInTemplateSaysEachWordUntilItWasTaken(t *testing.T) {
	text, err := Template{Text: Default}.Render(Options{LiveImageURL: "http://worker/disk", AgentToken: "TOKEN", HeartbeatURL: "http://api"})
	if err != nil {
		t.Fatal(err)
	}
	sections := regexp.MustCompile(`(?ms)^%(pre|onerror|post)\n(.*?)^%end`).FindAllStringSubmatch(string(text), -1)
	if len(sections) != 3 {
		t.Fatalf("found %q", sections)
	}
	for _, section := range sections {
		dir := t.TempDir()
		curl := filepath.Join(dir, "curl")
		// The first call finds ironic away.
		if err := os.WriteFile(curl, []byte("#!/bin/sh\necho called >> "+dir+"/calls\n[ $(wc -l < "+dir+"/calls) = 2 ]\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		script := strings.NewReplacer("/usr/bin/curl", curl, "sleep 10", ":", "sync\n", "").Replace(section[2])
		said, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
		calls, reading := os.ReadFile(filepath.Join(dir, "calls"))
		if err != nil || reading != nil || string(calls) != "called\ncalled\n" {
			t.Errorf("%%%s: %v, %v, %q, %s", section[1], err, reading, calls, said)
		}
	}
}

func TestScriptLaysTheConfigDriveDown(t *testing.T) {
	name := "machine"
	n := &store.Node{UUID: "11111111-2222-3333-4444-555555555555", Name: &name, InstanceInfo: store.Dict{"configdrive": store.Dict{
		"meta_data": store.Dict{"hostname": "h"}, "user_data": "#!/bin/sh\n"}}}
	drive, err := image.ConfigDriveContent(t.Context(), nil, n)
	if err != nil {
		t.Fatal(err)
	}
	script, err := Script(drive)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n%post\n/bin/mkdir -p '/var/lib/cloud/seed/config_drive/openstack/latest'\n",
		"echo 'IyEvYmluL3NoCg==' | /usr/bin/base64 --decode > '/var/lib/cloud/seed/config_drive/openstack/latest/user_data'\n",
		"/bin/chmod 600 '/var/lib/cloud/seed/config_drive/openstack/latest/meta_data.json'\n%end\n"} {
		if !strings.Contains(script, want) {
			t.Errorf("%q is missing in\n%s", want, script)
		}
	}
	if script, err := Script(nil); err != nil || script != "" {
		t.Errorf("without a config drive: %q, %v", script, err)
	}
	if _, err := Script([]byte(strings.Repeat("secret", 20000))); store.KindOf(err) != store.InstanceDeployFailure ||
		strings.Contains(err.Error(), "secret") {
		t.Errorf("a config drive that is none: %v", err)
	}
}

// A few KiB may claim to hold GiBs.
func TestAConfigDriveThatClaimsTooMuch(t *testing.T) {
	data := strings.Repeat("x", 12345)
	drive, err := image.ConfigDriveContent(t.Context(), nil, &store.Node{UUID: "11111111-2222-3333-4444-555555555555",
		InstanceInfo: store.Dict{"configdrive": store.Dict{"user_data": data}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Script(drive); err != nil {
		t.Fatalf("as it was made: %v", err)
	}
	// ECMA-119 §7.3.3: both byte orders, one after the other.
	size := func(n uint32) []byte {
		return binary.BigEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, n), n)
	}
	lying := bytes.ReplaceAll(drive, size(uint32(len(data))), size(maxContent+1))
	if bytes.Equal(lying, drive) {
		t.Fatal("the file is not found on the drive")
	}
	if _, err := Script(lying); store.KindOf(err) != store.InstanceDeployFailure || !strings.Contains(err.Error(), "more than 33554432 bytes") {
		t.Errorf("got %v", err)
	}
}

// FuzzScript feeds what users call a config drive: whatever it is, it is read in bounds or refused.
func FuzzScript(f *testing.F) {
	drive, err := image.ConfigDriveContent(f.Context(), nil, &store.Node{UUID: "11111111-2222-3333-4444-555555555555",
		InstanceInfo: store.Dict{"configdrive": store.Dict{"meta_data": store.Dict{"hostname": "h"}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(drive)
	f.Add(make([]byte, 40000))
	f.Fuzz(func(t *testing.T, drive []byte) {
		if script, err := Script(drive); err == nil && strings.Contains(script, "\n%end\n%end") {
			t.Errorf("got %q", script)
		}
	})
}

// FuzzTemplate feeds what users bring as templates: whatever it is, it is refused or becomes a kickstart file in bounds.
func FuzzTemplate(f *testing.F) {
	f.Add(string(Default))
	f.Add(whole)
	for _, seed := range []string{"{{ ks_options['a']|default('b')|upper }}", "{% if not a is defined and b != 'c' %}{% elif (1) %}{% else %}{% endif %}",
		"{% raw %}{{{% endraw %}{# #}", "{%- include '/kickstart' -%}", "{{ (((1))) if x else y.z[-1] }}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		template := Template{Text: []byte(text)}
		if template.Check() != nil {
			return
		}
		out, err := template.Render(Options{LiveImageURL: "http://i", AgentToken: "TOKEN", HeartbeatURL: "http://h"})
		// {{ks_options}}, which shows all options, becomes seven times as long; nothing becomes more.
		if err == nil && len(out) > len(text)*10 {
			t.Errorf("%d bytes became %d", len(text), len(out))
		}
	})
}
