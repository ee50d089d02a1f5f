package catalog_test

import (
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/neutron"
	"github.com/ironmaster/ironmaster/store"
)

// A new node's network interface is flat before neutron before noop, as far as these are enabled.
func TestDefaultNetworkInterface(t *testing.T) {
	p := parts()
	p.Flat, p.Neutron = &neutron.Flat{}, &neutron.Separate{}
	for _, c := range []struct {
		enabled []string
		option  string
		want    string
	}{
		{[]string{"noop", "flat"}, "", "flat"},
		{[]string{"noop", "neutron"}, "", "neutron"},
		{[]string{"noop", "neutron", "flat"}, "", "flat"},
		{[]string{"noop"}, "", "noop"},
		{[]string{"noop", "neutron", "flat"}, "noop", "noop"},
	} {
		conf := stock("redfish", "fake-hardware")
		conf.Interfaces[drivers.TypeNetwork] = chosen(c.enabled...)
		if c.option != "" {
			conf.Defaults[drivers.TypeNetwork] = c.option
		}
		e, _, err := catalog.Enable(catalog.New(p), conf)
		if err != nil {
			t.Fatal(err)
		}
		for _, driver := range []string{"redfish", "fake-hardware"} {
			n := &store.Node{UUID: "u", Driver: driver}
			if _, err := e.Fill(n); err != nil || n.NetworkInterface != c.want {
				t.Errorf("%s with %q, default %q: %q, %v; want %s", driver, c.enabled, c.option, n.NetworkInterface, err, c.want)
			}
		}
	}
}
