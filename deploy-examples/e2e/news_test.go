package main

import "testing"

func TestWorthTelling(t *testing.T) {
	for line, want := range map[string]string{
		"15:00:57  uefi           provision  wait call-back -> deploying (resume)": "uefi           provision  wait call-back -> deploying (resume)",
		"15:00:59  bios           deploy     step 2/6 deploy.write_image, 53.9 %":  "bios           deploy     step 2/6 deploy.write_image, 53.9 %",
		"15:00:57  uefi           event      baremetal.node.create.start":          "",
		"following the events of lab":                                              "",
		"":                                                                         "",
	} {
		if got, ok := worthTelling(line); ok != (want != "") || ok && got != want {
			t.Errorf("of %q is told %q (%v), want %q", line, got, ok, want)
		}
	}
}
