package ilo_test

import (
	"maps"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ilo"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// consoleOf returns a console and a task on a node with the keys of driver_info.
func consoleOf(t *testing.T, info store.Dict) (*ilo.Console, *drivers.Task) {
	t.Helper()
	node := &store.Node{UUID: "0d4a1f6e-0000-4000-8000-000000000001", Driver: "ilo5", DriverInfo: info, DriverInternalInfo: store.Dict{}}
	return ilo.NewConsole(redfishtest.Client(t), ipmi.New(ipmi.DefaultConfig(), zerolog.Nop()), config()),
		&drivers.Task{Node: node, Worker: redfishtest.NewWorker(), Log: zerolog.Nop()}
}

func TestConsoleDriverInfo(t *testing.T) {
	for name, c := range map[string]struct {
		change store.Dict
		kind   store.Kind
		want   string
	}{
		"all":         {store.Dict{}, "", ""},
		"no port":     {store.Dict{"console_port": nil}, store.MissingParameterValue, "Missing 'console_port' parameter in node's driver_info."},
		"no user":     {store.Dict{"ilo_username": nil}, store.MissingParameterValue, "missing from the node's driver_info: ['ilo_username']"},
		"a bad port":  {store.Dict{"console_port": 70000}, store.InvalidParameterValue, `console_port "70000" is not a valid port.`},
		"old version": {store.Dict{"ipmi_protocol_version": "1.5"}, store.InvalidParameterValue, "Serial over lan only works with IPMI protocol version 2.0"},
	} {
		info := store.Dict{"ilo_address": "192.0.2.7:8443", "ilo_username": "u", "ilo_password": "p", "console_port": 10001}
		for key, value := range c.change {
			if info[key] = value; value == nil {
				delete(info, key)
			}
		}
		before := maps.Clone(info)
		console, x := consoleOf(t, info)
		err := console.Validate(t.Context(), x)
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.want != "" {
			redfishtest.WantError(t, err, c.kind, c.want)
		}
		if !maps.Equal(x.Node.DriverInfo, before) {
			t.Errorf("%s: driver_info has become %v", name, x.Node.DriverInfo)
		}
	}
}
