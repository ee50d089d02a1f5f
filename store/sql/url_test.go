package sql

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, test := range []struct {
		text, parameters string
		want             databaseURL
	}{
		{"mysql+pymysql://ironic:p%40ss%2Fw%25@db.example:3307/ironic?charset=utf8", "",
			databaseURL{"mysql", "ironic", "p@ss/w%", "db.example", "3307", "ironic", map[string][]string{"charset": {"utf8"}}}},
		{"mysql://ironic:a:b/c+d@db/ironic", "connect_timeout=5&unix_socket=/run/s",
			databaseURL{"mysql", "ironic", "a:b/c+d", "db", "", "ironic",
				map[string][]string{"connect_timeout": {"5"}, "unix_socket": {"/run/s"}}}},
		{"mariadb+pymysql://u@[2001:db8::1]:3306/ironic", "",
			databaseURL{"mysql", "u", "", "2001:db8::1", "3306", "ironic", map[string][]string{}}},
		{"postgresql+psycopg2://u:p@/ironic?host=a:5433&host=b", "sslmode=require",
			databaseURL{"postgresql", "u", "p", "", "", "ironic",
				map[string][]string{"host": {"a:5433", "b"}, "sslmode": {"require"}}}},
		{"postgres://u:p@h/ironic", "", databaseURL{"postgresql", "u", "p", "h", "", "ironic", map[string][]string{}}},
		{"sqlite:////var/lib/ironic/ironic.sqlite", "",
			databaseURL{"sqlite", "", "", "", "", "/var/lib/ironic/ironic.sqlite", map[string][]string{}}},
		{"sqlite:///relative.sqlite", "timeout=3",
			databaseURL{"sqlite", "", "", "", "", "relative.sqlite", map[string][]string{"timeout": {"3"}}}},
	} {
		got, err := parseURL(test.text, test.parameters)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", test.text, got, err, test.want)
		}
	}
}

func TestSeveralPostgreSQLHosts(t *testing.T) {
	for _, test := range []struct {
		url          string
		hosts, ports []string
	}{
		{"postgresql://u@h/d", []string{"h"}, []string{"5432"}},
		{"postgresql://u@/d?host=a,b&port=1,2", []string{"a", "b"}, []string{"1", "2"}},
		{"postgresql://u@/d?host=a,b&port=6000", []string{"a", "b"}, []string{"6000", "6000"}},
		{"postgresql://u@/d?host=a:1&host=b:2", []string{"a", "b"}, []string{"1", "2"}},
		{"postgresql://u@/d?host=/run/postgresql", []string{"/run/postgresql"}, []string{"5432"}},
	} {
		u, err := parseURL(test.url, "")
		if err != nil {
			t.Fatal(err)
		}
		if hosts, ports := splitHosts(u); !reflect.DeepEqual(hosts, test.hosts) || !reflect.DeepEqual(ports, test.ports) {
			t.Errorf("%s: hosts %v, ports %v", test.url, hosts, ports)
		}
	}
}

func TestMySQLEncryptionFollowsPyMySQL(t *testing.T) {
	for _, test := range []struct {
		options          string
		encrypted, skips bool
		chainOnly        bool
	}{
		{"", false, false, false},
		{"ssl_verify_cert=false", false, false, false},
		{"ssl_verify_cert=true", true, false, false},
		{"ssl_verify_cert=true&ssl_check_hostname=false", true, true, true},
		{"ssl_verify_identity=true", true, false, false},
		{"ssl_verify_cert=true&ssl_disabled=true", false, false, false},
	} {
		u, err := parseURL("mysql://u@h/d?"+test.options, "")
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := mysqlTLS(u)
		if err != nil || (cfg != nil) != test.encrypted {
			t.Errorf("%s: %v, %v", test.options, cfg, err)
			continue
		}
		if cfg != nil && (cfg.InsecureSkipVerify != test.skips || (cfg.VerifyConnection != nil) != test.chainOnly) {
			t.Errorf("%s: skips %v, own check %v", test.options, cfg.InsecureSkipVerify, cfg.VerifyConnection != nil)
		}
	}
}

func TestConstraintColumns(t *testing.T) {
	for name, want := range map[string][]string{
		"uniq_nodes0name":                         {"name"},
		"nodes.uniq_nodes0instance_uuid":          {"instance_uuid"},
		"uniq_volumetargets0node_id0boot_index":   {"node_id", "boot_index"},
		"nodes_uuid_key":                          {"uuid"},
		"PRIMARY":                                 {"PRIMARY"},
		"uniq_conductorhardwareinterfaces0x0y0zz": {"x", "y", "zz"},
	} {
		if got := constraintColumns(name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	const sqlite = "constraint failed: UNIQUE constraint failed: volume_targets.node_id, volume_targets.boot_index (2067)"
	if got := sqliteColumns(sqlite); !reflect.DeepEqual(got, []string{"node_id", "boot_index"}) {
		t.Errorf("SQLite: %v", got)
	}
}

func TestShorten(t *testing.T) {
	if got := shorten("short", 100); got != "short" {
		t.Errorf("a short text became %q", got)
	}
	got := shorten(strings.Repeat("ä", 100), 101)
	if len(got) > 101 || !strings.HasPrefix(got, "ä") || !strings.HasSuffix(got, "ä") || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("mysql+pymysql://ironic:p%40ss@db:3306/ironic?charset=utf8", "x=1")
	f.Add("postgresql://u:p@[::1]:5432/d?host=a&host=b", "")
	f.Add("sqlite:////path", "?&")
	f.Add("://:@/", "%")
	f.Fuzz(func(t *testing.T, text, parameters string) {
		u, err := parseURL(text, parameters)
		if err != nil {
			return
		}
		if u.backend != "sqlite" && u.backend != "mysql" && u.backend != "postgresql" {
			t.Errorf("backend %q", u.backend)
		}
		splitHosts(u)
	})
}
