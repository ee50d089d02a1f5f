package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestTableTellsWhatFallsShort(t *testing.T) {
	var out bytes.Buffer
	b := &bench{results: map[string]map[string]float64{
		python:     {"start": 5, "light-64-rate": 70, "light-64-p99": 1, "cycles-cpu": 30, "crowd": 300},
		ironmaster: {"start": 0.1, "light-64-rate": 1399, "light-64-p99": 0.05, "cycles-cpu": 0, "crowd": 300},
	}}
	if short := b.printTable(&out); short != 1 {
		t.Errorf("%d figures fall short, want one:\n%s", short, out.String())
	}
	for text, want := range map[string][]string{
		"process start to first RPC answered":    {"5.000 s", "0.100 s", "1/50.0", "<= 1/20", "ok"},
		"get_supported_boot_devices, 64 callers": {"70 /s", "1399 /s", "20.0 x", ">= 20 x", "short"},
		"    p99":                                {"1000.00 ms", "50.00 ms", "1/20.0", "<= 1/20", "ok"},
		// What is too small to be measured is no failure.
		"CPU of 100 cycles":   {"30.000 s", "0.000 s", "<= 1/15", "ok"},
		"deployments at once": {"300", "300"},
	} {
		found := ""
		for line := range strings.Lines(out.String()) {
			if rest, ok := strings.CutPrefix(line, text); ok {
				found = strings.Join(strings.Fields(rest), " ")
			}
		}
		if found != strings.Join(want, " ") {
			t.Errorf("%q shows %q, want %q", text, found, want)
		}
	}
}

func TestBenchmarksAreReadable(t *testing.T) {
	got := string(benchmarks(map[string]float64{"light-64-p99": 0.05, "idle-memory": 1 << 20}))
	if want := "BenchmarkIdleMemory 1 1.048576e+06 B\nBenchmarkLight64P99 1 5e+07 ns/op\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
