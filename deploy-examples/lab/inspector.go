package lab

import (
	"path/filepath"
	"strconv"
)

const (
	inspector       = "/usr/bin/ironic-inspector"
	inspectorDBSync = "/usr/bin/ironic-inspector-dbsync"
)

// StartInspector starts ironic-inspector without authentication and without a broker, on SQLite, in front of the ironic-api at a URL. It
// boots nothing and keeps what ramdisks find. The URL at which it answers is returned.
func (l *Lab) StartInspector(ironicURL string) (string, error) {
	if err := need("inspector", inspector); err != nil {
		return "", err
	}
	numbers, err := l.ports.reserve(1)
	if err != nil {
		return "", err
	}
	dir, err := l.folder("inspector")
	if err != nil {
		return "", err
	}
	file, url := filepath.Join(dir, "inspector.conf"), "http://"+loopback(numbers[0])
	conf := ini{
		"DEFAULT": {"auth_strategy": "noauth", "transport_url": "fake://", "standalone": "true",
			"listen_address": "127.0.0.1", "listen_port": strconv.Itoa(numbers[0])},
		"database":   {"connection": "sqlite:///" + filepath.Join(dir, "inspector.sqlite")},
		"ironic":     {"auth_type": "none", "endpoint_override": ironicURL},
		"pxe_filter": {"driver": "noop"},
		"processing": {"store_data": "database"},
	}
	if err := conf.write(file); err != nil {
		return "", err
	}
	if err := runOnce(l.ctx, dir, Command{Name: "ironic-inspector-dbsync", Path: inspectorDBSync, Env: cleanEnv(dir),
		Args: []string{"--config-file", file, "upgrade"}}); err != nil {
		return "", err
	}
	_, err = l.StartService(Command{Name: "ironic-inspector", Path: inspector, Env: cleanEnv(dir), Args: []string{"--config-file", file},
		Ready: answers(url+"/", nil)})
	return url, err
}
