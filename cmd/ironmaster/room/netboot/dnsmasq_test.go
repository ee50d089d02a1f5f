package netboot

import (
	"maps"
	"strings"
	"testing"
)

// TestOptionsByTags holds dnsmasq's rules: all tags must fit, options with tags go before those without, the last one counts.
func TestOptionsByTags(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		want        map[int]string
	}{
		{"without tags", "67,a\n", map[int]string{67: "a"}},
		{"with all tags", "tag:node,tag:!ipxe,67,a\ntag:node,tag:ipxe,67,b\n", map[int]string{67: "a"}},
		{"another host's", "tag:other,67,a\n", map[int]string{}},
		{"the last one", "67,a\n67,b\n", map[int]string{67: "b"}},
		{"tags go first", "tag:node,67,a\n67,b\n", map[int]string{67: "a"}},
		{"by name", "option:bootfile-name,a\noption:server-ip-address,127.0.0.1\n", map[int]string{67: "a", 255: "127.0.0.1"}},
		{"not of IPv4", "option6:bootfile-url,tftp://[::1]/x\n", map[int]string{}},
		{"with comments", "# 67,x\n\n  67,\"a\"\n", map[int]string{67: "a"}},
		{"with commas", "67,a,b\n", map[int]string{67: "a,b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLAN(t)
			l.put(t, l.DHCP.OptsDir, map[string]string{"a": c.lines, "b~": "67,backup\n", ".c": "67,hidden\n"})
			got, err := l.DHCP.options(map[string]bool{"node": true, "known": true})
			must(t, err)
			if !maps.Equal(got.options, c.want) {
				t.Errorf("the options are %v, not %v", got.options, c.want)
			}
		})
	}
}

// TestBadFilesOfDnsmasq names the file and the line.
func TestBadFilesOfDnsmasq(t *testing.T) {
	for _, c := range []struct{ hosts, options, want string }{
		{testMAC + ",set:\n", "", "file host: line 1"},
		{testMAC + ",set:a\nzz:zz,set:b\n", "", "file host: line 2"},
		{testMAC + ",set:a\n", "tag:a,bootfile,x\n", `file option: line 1: bad dhcp-option "bootfile"`},
		{testMAC + ",set:a\n", "tag:a,256,x\n", "bad dhcp-option"},
		{testMAC + ",set:a\n", "67,x\noption:nonsense,x\n", "file option: line 2"},
		{testMAC + ",set:a\n", "tag:a\n", "file option: line 1"},
	} {
		l := newLAN(t)
		l.put(t, l.DHCP.HostsDir, map[string]string{"host": c.hosts})
		l.put(t, l.DHCP.OptsDir, map[string]string{"option": c.options})
		_, err := l.ask(request{mac: testMAC, address: "127.7.0.1"})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q and %q are answered with %v, not %q", c.hosts, c.options, err, c.want)
		}
	}
}

func FuzzDnsmasq(f *testing.F) {
	f.Add(testMAC + ",set:a-tag,set:ironic")
	f.Add(testMAC + ",ignore")
	f.Add("id:*,192.0.2.1,name,1h")
	f.Add("tag:a,tag:!ipxe,67,undionly.kpxe")
	f.Add("option:bootfile-name,x")
	f.Add("option6:59,tftp://[::1]/x")
	f.Fuzz(func(t *testing.T, text string) {
		if h, err := parseHost(text); err == nil && h.is(testMAC) && !strings.Contains(strings.ToLower(text), testMAC) {
			t.Errorf("%q is taken for the machine", text)
		}
		if o, err := parseOption(text); err == nil && !o.v6 && (o.number < 1 || o.number > 255) {
			t.Errorf("%q has the number %d", text, o.number)
		}
	})
}
