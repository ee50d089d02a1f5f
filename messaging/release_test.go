package messaging

import "testing"

func TestParseRelease(t *testing.T) {
	for _, tc := range []struct {
		name string
		want Release
		rpc  string
	}{
		{"2023.1", V2023_1, "1.55"},
		{"antelope", V2023_1, "1.55"},
		{"zed", 2101, "1.55"},
		{"21.4", V2023_1, "1.55"},
		{"22.1", V22_1, "1.56"},
		{"23.1", 2301, "1.58"},
		{"2024.1", V2024_1, "1.59"},
		{"26.0", V26_0, "1.60"},
		{" 2025.1 ", V2025_1, "1.61"},
		{"2026.1", V2026_1, "1.62"},
		{"master", Newest, "1.62"},
	} {
		got, err := ParseRelease(tc.name)
		if err != nil || got != tc.want || got.RPCVersion() != tc.rpc {
			t.Errorf("ParseRelease(%q) = %v (rpc %s), %v; want %v (rpc %s)", tc.name, got, got.RPCVersion(), err, tc.want, tc.rpc)
		}
	}
	for _, bad := range []string{"", "queens", "9.1", "21.5", "28.1", "99.0", "29", "29.x", "-1.5", "29.100"} {
		if r, err := ParseRelease(bad); err == nil {
			t.Errorf("ParseRelease(%q) = %v, want an error", bad, r)
		}
	}
}
