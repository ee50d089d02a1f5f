package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/jsonrpc"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// This file decides how requests reach a worker, and where its events go.

// rpcTopic is ironic's topic of conductors.
const rpcTopic = "ironic.conductor_manager"

// wires are a worker's connections to others of its kind and to ironic-api.
type wires struct {
	transport conductor.Transport
	// notifier is nil when events go nowhere.
	notifier conductor.Notifier
	// senders have to run as long as something may be sent.
	senders []func(context.Context)
}

// connect opens what [DEFAULT]rpc_transport asks for. It waits for nobody.
func connect(s *config.Settings, cfg conductor.Config, log zerolog.Logger) (wires, error) {
	switch s.Default.RPCTransport {
	case "oslo":
		return connectRabbit(s, cfg, log)
	case "json-rpc":
		return connectJSONRPC(s, cfg, log)
	}
	return wires{}, noTransport(s)
}

// noTransport says why a worker can't start with rpc_transport = none.
func noTransport(s *config.Settings) error {
	return fmt.Errorf("[DEFAULT]rpc_transport is %q: requests could reach this conductor only from within ironic's own "+
		"all-in-one process; set it to oslo or json-rpc, here and for ironic-api", s.Default.RPCTransport)
}

func connectRabbit(s *config.Settings, cfg conductor.Config, log zerolog.Logger) (wires, error) {
	server, err := rabbit.NewServer(rabbit.ServerConfig{Config: brokerConfig(s, "ironmaster server", log), Topic: rpcTopic,
		Host: s.Default.Host, Concurrency: s.Default.ExecutorThreads})
	if err != nil {
		return wires{}, fmt.Errorf("[DEFAULT]transport_url: %w", err)
	}
	answers, err := rabbit.NewPublisher(brokerConfig(s, "ironmaster publisher", log))
	if err != nil {
		return wires{}, fmt.Errorf("[DEFAULT]transport_url: %w", err)
	}
	w := wires{transport: conductor.NewRabbitTransport(server, answers, wireOf(cfg), log), senders: []func(context.Context){answers.Run}}
	notifications := answers
	if s.Notifications.TransportURL != "" {
		if notifications, err = newNotifier(s, log); err != nil {
			return wires{}, err
		}
		w.senders = append(w.senders, notifications.Run)
	}
	w.notifier = eventBroker{Publisher: answers, notifications: notifications}
	return w, nil
}

// connectJSONRPC takes the address to listen on. Ironic's notifications go to a broker only when they are switched on:
// nobody else needs one.
func connectJSONRPC(s *config.Settings, cfg conductor.Config, log zerolog.Logger) (wires, error) {
	var w wires
	if slices.ContainsFunc(cfg.NotificationDrivers, conductor.SendsToBroker) {
		notifications, err := newNotifier(s, log)
		if err != nil {
			return wires{}, err
		}
		w.senders = []func(context.Context){notifications.Run}
		w.notifier = eventBroker{Publisher: notifications, notifications: notifications}
	}
	serverConfig, err := jsonRPCConfig(s, cfg, log)
	if err != nil {
		return wires{}, err
	}
	address, err := jsonRPCAddress(s.JSONRPC)
	if err != nil {
		return wires{}, err
	}
	listener, err := address.Listen()
	if err != nil {
		return wires{}, fmt.Errorf("[json_rpc]host_ip and port, or unix_socket: %w", err)
	}
	w.transport = conductor.NewJSONTransport(jsonrpc.NewServer(listener, serverConfig), wireOf(cfg), log)
	return w, nil
}

func wireOf(cfg conductor.Config) conductor.Wire {
	return conductor.Wire{Release: cfg.Release, MaxSize: cfg.MaxMessageSize}
}

func newNotifier(s *config.Settings, log zerolog.Logger) (*rabbit.Publisher, error) {
	cfg, option := notifierConfig(s, log)
	p, err := rabbit.NewPublisher(cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", option, err)
	}
	return p, nil
}

// notifierConfig is the broker of notifications, with the option that names it.
func notifierConfig(s *config.Settings, log zerolog.Logger) (cfg rabbit.Config, option string) {
	cfg = brokerConfig(s, "ironmaster notifier", log)
	if s.Notifications.TransportURL == "" {
		return cfg, "[DEFAULT]transport_url"
	}
	cfg.URL = s.Notifications.TransportURL
	return cfg, "[oslo_messaging_notifications]transport_url"
}

func jsonRPCAddress(j config.JSONRPC) (jsonrpc.Address, error) {
	a := jsonrpc.Address{Host: j.HostIP, Port: j.Port, Socket: j.UnixSocket}
	if j.UnixSocketMode == "" {
		return a, nil
	}
	mode, err := strconv.ParseUint(j.UnixSocketMode, 8, 9)
	if err != nil {
		return a, fmt.Errorf("[json_rpc]unix_socket_mode: %q is no octal file mode", j.UnixSocketMode)
	}
	a.Mode = fs.FileMode(mode)
	return a, nil
}

func jsonRPCConfig(s *config.Settings, cfg conductor.Config, log zerolog.Logger) (jsonrpc.Config, error) {
	j := s.JSONRPC
	c := jsonrpc.Config{Concurrency: s.Default.ExecutorThreads, MaxSize: cfg.MaxMessageSize, Release: cfg.Release, Log: log}
	if cfg.Release >= messaging.Newest {
		c.MaxDepth = s.API.MaxJSONBodyDepth
	}
	if j.UseSSL {
		files := jsonrpc.TLS{CertFile: j.CertFile, KeyFile: j.KeyFile, MinVersion: j.TLSMinimumVersion}
		if files.CertFile == "" || files.KeyFile == "" {
			files.CertFile, files.KeyFile, files.CAFile = s.SSL.CertFile, s.SSL.KeyFile, s.SSL.CAFile
		}
		var err error
		if c.TLS, err = files.Config(); err != nil {
			return c, fmt.Errorf("[json_rpc]use_ssl with cert_file and key_file in [json_rpc] or [ssl]: %w", err)
		}
	}
	var err error
	c.Auth, err = jsonRPCAuth(s, log)
	return c, err
}

// jsonRPCAuth decides who may send requests; nil is everybody.
func jsonRPCAuth(s *config.Settings, log zerolog.Logger) (jsonrpc.Authenticator, error) {
	switch firstOf(s.JSONRPC.AuthStrategy, s.Default.AuthStrategy) {
	case "noauth":
		return nil, nil
	case "http_basic":
		auth, err := jsonrpc.NewBasicAuth(s.JSONRPC.HTTPBasicUserFile, log)
		if err != nil {
			return nil, fmt.Errorf("[json_rpc]http_basic_auth_user_file: %w", err)
		}
		return auth, nil
	}
	k := s.Keystone
	if k.URL == "" {
		return nil, errors.New("[keystone_authtoken]auth_url is not set: with [json_rpc]auth_strategy = keystone tokens are " +
			"looked at there")
	}
	cfg := keystoneConfig("keystone_authtoken", k.Auth)
	if k.ConnectTimeout > 0 {
		cfg.Timeout = k.ConnectTimeout
	}
	transport, err := keystone.NewTransport(cfg.Timeout, cfg.TLS)
	if err != nil {
		return nil, fmt.Errorf("[keystone_authtoken]: %w", err)
	}
	return jsonrpc.NewTokenAuth(keystone.NewSession(cfg, keystone.NewClient(transport, nil)), jsonrpc.TokenConfig{
		Roles: s.JSONRPC.AllowedRoles, CacheTime: k.TokenCacheTime, Keystone: firstOf(k.WWWAuthenticateURI, k.URL),
		Timeout: tokenTimeout, Retries: k.MaxRetries, Log: log,
	}), nil
}

// tokenTimeout bounds how long a request waits for Keystone; its caller waits for two minutes.
const tokenTimeout = time.Minute

// conductorHost is the name under which a worker is known. Since ironic 23.0 it tells the port of JSON-RPC when that is not
// the usual one, unless the release it is pinned to knows nothing of it.
func conductorHost(s *config.Settings, release messaging.Release) (string, error) {
	const usualPort, since = 8089, messaging.V2023_2
	pin, err := pinnedRelease(s.Default)
	if err != nil {
		return "", err
	}
	if pin == 0 {
		pin = release
	}
	if s.Default.RPCTransport != "json-rpc" || s.JSONRPC.Port == usualPort || min(pin, release) < since {
		return s.Default.Host, nil
	}
	return net.JoinHostPort(s.Default.Host, strconv.Itoa(s.JSONRPC.Port)), nil
}

// eventBroker is where events go: progress by the embedded publisher, ironic's notifications maybe by another one.
type eventBroker struct {
	*rabbit.Publisher
	notifications *rabbit.Publisher
}

// Notify is conductor.Notifier.
func (b eventBroker) Notify(ctx context.Context, routingKey string, body []byte) error {
	return b.notifications.Notify(ctx, routingKey, body)
}
