package main

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/messaging"
)

func TestTheNameTellsThePortOfJSONRPC(t *testing.T) {
	for name, c := range map[string]struct {
		transport, host, pin string
		port                 int
		release              messaging.Release
		want                 string
	}{
		"a broker":            {"oslo", "worker", "", 8090, messaging.V2025_1, "worker"},
		"the usual port":      {"json-rpc", "worker", "", 8089, messaging.V2025_1, "worker"},
		"another port":        {"json-rpc", "worker", "", 8090, messaging.V2023_2, "worker:8090"},
		"IPv6":                {"json-rpc", "2001:db8::1", "", 8090, messaging.Newest, "[2001:db8::1]:8090"},
		"too old":             {"json-rpc", "worker", "", 8090, messaging.V2023_1, "worker"},
		"pinned to too old":   {"json-rpc", "worker", "2023.1", 8090, messaging.V2025_1, "worker"},
		"pinned to new":       {"json-rpc", "worker", "23.0", 8090, messaging.V2025_1, "worker:8090"},
		"pinned above itself": {"json-rpc", "worker", "29.0", 8090, messaging.V2023_1, "worker"},
	} {
		s := &config.Settings{Default: config.Default{RPCTransport: c.transport, Host: c.host, PinReleaseVersion: c.pin},
			JSONRPC: config.JSONRPC{Port: c.port}}
		if got, err := conductorHost(s, c.release); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

// What is wrong with JSON-RPC's options ends the start with an error that names them.
func TestOptionsOfJSONRPCThatCannotBe(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for want, change := range map[string]func(*config.Settings){
		"[DEFAULT]rpc_transport":              func(s *config.Settings) { s.Default.RPCTransport = "none" },
		"[json_rpc]use_ssl":                   func(s *config.Settings) { s.JSONRPC.UseSSL = true },
		"[json_rpc]http_basic_auth_user_file": func(s *config.Settings) { s.JSONRPC.AuthStrategy, s.JSONRPC.HTTPBasicUserFile = "http_basic", missing },
		"[keystone_authtoken]auth_url":        func(s *config.Settings) { s.Default.AuthStrategy = "keystone" },
		"[keystone_authtoken]: reading the CA": func(s *config.Settings) {
			s.JSONRPC.AuthStrategy, s.Keystone.URL, s.Keystone.CAFile = "keystone", "http://k", missing
		},
		"[json_rpc]unix_socket_mode": func(s *config.Settings) { s.JSONRPC.UnixSocketMode = "rw" },
		"[json_rpc]host_ip and port": func(s *config.Settings) { s.JSONRPC.HostIP = "192.0.2.1" },
		"[DEFAULT]transport_url": func(s *config.Settings) {
			s.Notifications.Drivers, s.Default.TransportURL = []string{"messagingv2"}, "kafka://x"
		},
		"[oslo_messaging_notifications]transport_url": func(s *config.Settings) {
			s.Notifications.Drivers, s.Notifications.TransportURL = []string{"messagingv2"}, "kafka://x"
		},
	} {
		s := &config.Settings{Default: config.Default{RPCTransport: "json-rpc", AuthStrategy: "noauth"},
			JSONRPC: config.JSONRPC{HostIP: "127.0.0.1"}}
		change(s)
		_, err := connect(s, conductor.Config{NotificationDrivers: s.Notifications.Drivers}, zerolog.Nop())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error about %s", err, want)
		}
	}
}

func TestDefaultsOfJSONRPCFollowTheRelease(t *testing.T) {
	for release, want := range map[config.Release]uint16{config.R2023_1: tls.VersionTLS12, config.Newest: tls.VersionTLS13} {
		s, _, err := config.Load(config.Inputs{Release: release, Root: noFiles{},
			Hostname: func() (string, error) { return "worker", nil }})
		if err != nil {
			t.Fatal(err)
		}
		if j := s.JSONRPC; j.HostIP != "::" || j.Port != 8089 || len(j.AllowedRoles) != 1 || j.AllowedRoles[0] != "admin" ||
			(j.TLSMinimumVersion == "1.3") != (want == tls.VersionTLS13) {
			t.Errorf("%v: %+v", release, j)
		}
		cfg, err := jsonRPCConfig(s, conductor.Config{Release: messaging.V2025_1}, zerolog.Nop())
		if err == nil || !strings.Contains(err.Error(), "auth_url") || cfg.MaxDepth != 0 {
			t.Errorf("%v: %v, nesting bounded to %d", release, err, cfg.MaxDepth)
		}
	}
	s := &config.Settings{Default: config.Default{AuthStrategy: "noauth"}, API: config.API{MaxJSONBodyDepth: 25}}
	if cfg, err := jsonRPCConfig(s, conductor.Config{Release: messaging.Newest}, zerolog.Nop()); err != nil || cfg.MaxDepth != 25 || cfg.Auth != nil {
		t.Errorf("the newest release: %+v, %v", cfg, err)
	}
}
