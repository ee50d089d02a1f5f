package lab

import (
	"context"
	"path/filepath"
	"strconv"
)

const (
	neutronServer = "/usr/bin/neutron-server"
	neutronPaste  = "/usr/share/neutron-common/api-paste.ini"
)

// neutronSchema makes Neutron's tables in an SQLite file. Neutron's own migrations alter constraints, which SQLite cannot.
const neutronSchema = `import sys
import sqlalchemy
from neutron.db.migration.models import head
head.get_metadata().create_all(sqlalchemy.create_engine("sqlite:///" + sys.argv[1]))
`

// NeutronNetworks are the names of networks that [neutron] names in the lab's ironic.conf; whoever uses them makes them.
var NeutronNetworks = []string{"cleaning", "provisioning", "rescuing", "inspection", "servicing"}

// prepareNeutron chooses Neutron's address.
func (l *Lab) prepareNeutron() error {
	if err := need("neutron", neutronServer); err != nil {
		return err
	}
	numbers, err := l.ports.reserve(1)
	if err != nil {
		return err
	}
	l.neutronPort = numbers[0]
	l.NeutronURL = "http://" + loopback(l.neutronPort)
	return nil
}

// launchNeutron starts neutron-server without authentication, on SQLite, with a mechanism driver that only logs: it has no
// switches, so that a binding is noted and never comes true.
func (l *Lab) launchNeutron() error {
	dir, err := l.folder("neutron")
	if err != nil {
		return err
	}
	key, err := versions(l.ctx, "python3-neutron")
	if err != nil {
		return err
	}
	database := filepath.Join(dir, "neutron.sqlite")
	err = copyTemplate(l.ctx, "neutron-"+key, l.Dir, database, func(ctx context.Context, dir string) error {
		return runOnce(ctx, dir, Command{Name: "neutron-schema", Path: "/usr/bin/python3", Env: cleanEnv(dir),
			Args: []string{"-c", neutronSchema, filepath.Join(dir, "data")}})
	})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "neutron.conf")
	if err := l.neutronConf(dir, database).write(file); err != nil {
		return err
	}
	l.Neutron, err = l.StartService(Command{Name: "neutron-server", Path: neutronServer, Env: cleanEnv(dir),
		Args: []string{"--config-file", file}, Ready: answers(l.NeutronURL+"/v2.0/networks", nil)})
	return err
}

func (l *Lab) neutronConf(dir, database string) ini {
	return ini{
		"DEFAULT": {
			"auth_strategy": "noauth", "bind_host": "127.0.0.1", "bind_port": strconv.Itoa(l.neutronPort), "state_path": dir,
			"core_plugin": "ml2", "service_plugins": "segments", "transport_url": "fake://", "api_paste_config": neutronPaste,
			"api_workers": "1", "rpc_workers": "0", "rpc_state_report_workers": "0",
			"notify_nova_on_port_status_changes": "false", "notify_nova_on_port_data_changes": "false",
		},
		"oslo_concurrency":             {"lock_path": filepath.Join(dir, "lock")},
		"oslo_messaging_notifications": {"driver": "noop"},
		"oslo_policy":                  {"enforce_new_defaults": "false", "enforce_scope": "false"},
		"database":                     {"connection": "sqlite:///" + database},
		"ml2":                          {"type_drivers": "local,flat", "tenant_network_types": "local", "mechanism_drivers": "logger"},
		"ml2_type_flat":                {"flat_networks": "*"},
	}
}

// neutronLogin is how conductors use Neutron.
func (l *Lab) neutronLogin() ini {
	conf := map[string]string{"auth_type": "none", "endpoint_override": l.NeutronURL, "fail_on_port_binding_failure": "false"}
	for _, name := range NeutronNetworks {
		conf[name+"_network"] = name
	}
	return ini{"DEFAULT": {"enabled_network_interfaces": "flat,neutron,noop"}, "neutron": conf}
}
