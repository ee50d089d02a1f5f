package config

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestParseErrorsTellTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"[a]\n[b":             "f:2: invalid section",
		"[]":                  "f:1: empty section name",
		"k = v":               "f:1: section must be started",
		"[a]\nword":           "f:2: no ':' or '='",
		"[a]\n= v":            "f:2: key cannot be empty",
		"[a]\n\n  v":          "f:3: unexpected continuation",
		"[a]\nk = v\n#\n  v":  "f:4: unexpected continuation",
		"[a]\r\nk = v\rworse": "f:3: no ':' or '='",
	} {
		if _, err := parse("f", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("parse(%q): %v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", "[DEFAULT]\ndebug = true\n", "[a]\nk = 'x'\n  y\n\n; c\n[b]\nl: \"\n", "[a\n", "\tk", "[a]\rk=\x1c", "\xff",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		sections, err := parse("f", text)
		if err != nil {
			if sections != nil || !strings.HasPrefix(err.Error(), "f:") {
				t.Fatalf("sections %v, error %v", sections, err)
			}
			return
		}
		line := 0
		for _, s := range sections {
			for _, a := range s.assignments {
				if a.key == "" || a.line <= line {
					t.Fatalf("assignment %+v after line %d", a, line)
				}
				line = a.line
			}
		}
	})
}

// FuzzLoad looks for texts that break the reading of values or references, which must end in settings or an error.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		"[DEFAULT]\nhost = ${conductor.conductor_group}$$\\$\n[conductor]\nconductor_group = $host",
		"[conductor]\nclean_step_priority_override = a,b:c\nheartbeat_interval = 1_0\n[ironmaster]\nmax_image_size = 1",
		"[glance]\nauth_section = glance\n[DEFAULT]\ntransport_url = rabbit://h?ssl=1&ssl=0#x\nraw_image_growth_factor = nan",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		settings, _, err := Load(Inputs{
			Root:     fstest.MapFS{"etc/ironic/ironic.conf": {Data: text}},
			Hostname: func() (string, error) { return "c1", nil },
		})
		if (settings == nil) == (err == nil) {
			t.Fatalf("settings %v, error %v", settings, err)
		}
	})
}
