package rabbit

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	guest := func(name string, port int) Host {
		return Host{User: "guest", Password: "guest", Name: name, Port: port}
	}
	for _, tc := range []struct {
		url   string
		hosts []Host
		vhost string
		query map[string]string
	}{
		{"rabbit://", []Host{guest("localhost", 5672)}, "/", nil},
		{"rabbit:///", []Host{guest("localhost", 5672)}, "/", nil},
		{"rabbit://u:p@h", []Host{{"u", "p", "h", 5672}}, "/", nil},
		{"rabbit://u:p@h:5673/", []Host{{"u", "p", "h", 5673}}, "/", nil},
		{"rabbit://u:p@h/%2F", []Host{{"u", "p", "h", 5672}}, "/", nil},
		{"rabbit://u:p@h/%2Fv", []Host{{"u", "p", "h", 5672}}, "/v", nil},
		{"rabbit://u:p@h/nova", []Host{{"u", "p", "h", 5672}}, "nova", nil},
		{"rabbit://u:p@h1,v:q@h2:1/x", []Host{{"u", "p", "h1", 5672}, {"v", "q", "h2", 1}}, "x", nil},
		{"rabbit://u:p@h1:5672,h2:5672/", []Host{{"u", "p", "h1", 5672}, guest("h2", 5672)}, "/", nil},
		{"rabbit://u:p%40%2F%3A@h/", []Host{{"u", "p@/:", "h", 5672}}, "/", nil},
		{"rabbit://u%3a:p@q@h/", []Host{{"u:", "p@q", "h", 5672}}, "/", nil},
		{"rabbit://u:100%@h/", []Host{{"u", "100%", "h", 5672}}, "/", nil},
		{"rabbit://u:%zz@h/", []Host{{"u", "%zz", "h", 5672}}, "/", nil},
		{"rabbit://u@h/", []Host{{"u", "", "h", 5672}}, "/", nil},
		{"rabbit://u:p@[::1]:99,[fe80::1]/", []Host{{"u", "p", "::1", 99}, guest("fe80::1", 5672)}, "/", nil},
		{"rabbit://h/v?ssl=1&ssl_ca_file=%2Fx&a=1&a=2", []Host{guest("h", 5672)}, "v",
			map[string]string{"ssl": "1", "ssl_ca_file": "/x", "a": "1,2"}},
		{"rabbit://h?ssl=1", []Host{guest("h", 5672)}, "/", map[string]string{"ssl": "1"}},
		{"kombu://h/", []Host{guest("h", 5672)}, "/", nil},
	} {
		t.Run(tc.url, func(t *testing.T) {
			if tc.query == nil {
				tc.query = map[string]string{}
			}
			u, err := ParseURL(tc.url)
			if err != nil || !reflect.DeepEqual(u, URL{tc.hosts, tc.vhost, tc.query}) {
				t.Errorf("got hosts %+v vhost %q query %v, %v", u.Hosts, u.VHost, u.Query, err)
			}
		})
	}
}

func TestParseURLRefusesWithoutShowingPasswords(t *testing.T) {
	for _, bad := range []string{
		"", "u:hunter2@h", "u:hunter2://h", "amqp1://u:hunter2@h/", "fake://u:hunter2@h", "rabbit://u:hunter2@h:port/",
		"rabbit://u:hunter2@h:0/", "rabbit://u:hunter2@h:70000/", "rabbit://u:hunter2@[::1/", "rabbit://u:hunter2@h/?a=%zz",
	} {
		u, err := ParseURL(bad)
		if err == nil {
			t.Errorf("%s was accepted: %v", bad, u)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	u, err := ParseURL("rabbit://u:hunter2@h/")
	if text := fmt.Sprintf("%v %+v %#v", u, u, u.Hosts); err != nil || strings.Contains(text, "hunter2") {
		t.Errorf("formatting shows the password: %s (%v)", text, err)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"rabbit://u:p@h1,v:q@[::1]:2/%2Fv?ssl=1", "rabbit://", "x", "rabbit://%:%@%/%?%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURL(text)
		if err == nil && len(u.Hosts) == 0 {
			t.Error("no host")
		}
	})
}
