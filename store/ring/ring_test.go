package ring

import (
	"encoding/hex"
	"fmt"
	"testing"
)

var hosts = []string{"conductor-a", "conductor-b", "conductor-c"}

func TestHostAgreesWithTooz(t *testing.T) {
	// Computed by tooz (reference/rpc.md §6.1; the last three rows here).
	for _, test := range []struct{ algorithm, uuid, host string }{
		{"md5", "1be26c0b-03f2-4d2e-ae87-c02d7f33c123", "conductor-b"},
		{"md5", "00000000-0000-0000-0000-000000000000", "conductor-b"},
		{"md5", "ffffffff-ffff-4fff-bfff-ffffffffffff", "conductor-c"},
		{"sha256", "1be26c0b-03f2-4d2e-ae87-c02d7f33c123", "conductor-a"},
		{"sha256", "00000000-0000-0000-0000-000000000000", "conductor-c"},
		{"sha256", "ffffffff-ffff-4fff-bfff-ffffffffffff", "conductor-b"},
		{"sha1", "1be26c0b-03f2-4d2e-ae87-c02d7f33c123", "conductor-c"},
		{"sha512", "1be26c0b-03f2-4d2e-ae87-c02d7f33c123", "conductor-c"},
		{"sha3_256", "1be26c0b-03f2-4d2e-ae87-c02d7f33c123", "conductor-a"},
	} {
		t.Run(test.algorithm+"/"+test.uuid, func(t *testing.T) {
			r, err := New(Config{Exponent: 5, Algorithm: test.algorithm}, hosts)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Host(test.uuid); got != test.host {
				t.Errorf("Host = %s, want %s", got, test.host)
			}
		})
	}
}

func TestLowestPoint(t *testing.T) {
	for _, test := range []struct{ algorithm, at, host string }{
		{"md5", "0503616e6f9b877a78da7a33e6dad8d9", "conductor-b"},
		{"sha256", "02a4570be743338747d946a49fbd529785bd0d1d9545e2b61ab1024db00711ab", "conductor-c"},
	} {
		r, err := New(Config{Exponent: 5, Algorithm: test.algorithm}, hosts)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(r.points[0].at); got != test.at || r.points[0].host != test.host {
			t.Errorf("%s: lowest point %s of %s, want %s of %s", test.algorithm, got, r.points[0].host, test.at, test.host)
		}
	}
}

func TestPointEqualToTheNodeBelongsToTheNextHost(t *testing.T) {
	r, err := New(Config{Exponent: 0, Algorithm: "md5"}, hosts)
	if err != nil {
		t.Fatal(err)
	}
	// The single point of a host is the hash of its name twice, so a "node" of that name lies exactly on it.
	for i, p := range r.points {
		want := r.points[(i+1)%len(r.points)].host
		if got := r.Host(p.host + p.host); got != want {
			t.Errorf("a node on the point of %s belongs to %s, want %s", p.host, got, want)
		}
	}
}

func TestHostsLeaveWithTheirOwnNodesOnly(t *testing.T) {
	cfg := Config{Exponent: 5, Algorithm: "md5"}
	all, err := New(cfg, append(hosts, "conductor-a"))
	if err != nil {
		t.Fatal(err)
	}
	fewer, err := New(cfg, hosts[:2])
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		uuid := fmt.Sprintf("node-%d", i)
		before, after := all.Host(uuid), fewer.Host(uuid)
		if before != "conductor-c" && before != after {
			t.Errorf("%s moved from %s to %s though its host stayed", uuid, before, after)
		}
	}
}

func TestSetSeparatesGroupsAndHardwareTypes(t *testing.T) {
	s, err := NewSet(Config{Exponent: 5, Algorithm: "md5"}, []Member{
		{Hostname: "a", HardwareTypes: []string{"redfish", "ipmi"}},
		{Hostname: "b", Group: "rack1", HardwareTypes: []string{"redfish"}},
		{Hostname: "idle"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ driver, group, want string }{
		{"redfish", "", "a"}, {"redfish", "rack1", "b"}, {"ipmi", "", "a"}, {"ipmi", "rack1", ""}, {"ilo", "", ""},
	} {
		if got := s.Host(test.driver, test.group, "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"); got != test.want {
			t.Errorf("%s in group %q: host %q, want %q", test.driver, test.group, got, test.want)
		}
	}
}

func TestWithoutWorkers(t *testing.T) {
	s, err := NewSet(Config{Exponent: 5, Algorithm: "md5"}, []Member{{Hostname: "idle"}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Host("redfish", "", "x") != "" {
		t.Error("a worker without hardware types owns nodes")
	}
	r, err := New(Config{Exponent: 5, Algorithm: "md5"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Host("x"); got != "" {
		t.Errorf("an empty ring gives %q", got)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for _, cfg := range []Config{{5, "shake_128"}, {5, ""}, {-1, "md5"}, {64, "md5"}} {
		if _, err := New(cfg, hosts); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

func BenchmarkHost(b *testing.B) {
	r, err := New(Config{Exponent: 5, Algorithm: "md5"}, hosts)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Host("1be26c0b-03f2-4d2e-ae87-c02d7f33c123")
	}
}
