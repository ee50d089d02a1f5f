// Package dhcp tells whoever answers the DHCP requests of machines what they are to boot: Neutron, a dnsmasq, or nobody.
// Each type here is one value of [dhcp]dhcp_provider.
package dhcp

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Option is one DHCP option of a machine.
type Option struct {
	// Name is the option's number, behind a tag of dnsmasq where it depends on who asks: "tag:ipxe,67". Neutron takes the same
	// names.
	Name, Value string
	// IPVersion is 4 or 6.
	IPVersion int
}

// value is nil for an option that is to be taken back.
func (o Option) value() any {
	if o.Value == "" {
		return nil
	}
	return o.Value
}

// None is for sites whose DHCP server was told by hand.
type None struct{}

// Update does nothing.
func (None) Update(context.Context, *drivers.Task, []Option) error { return nil }

// SetClientID does nothing.
func (None) SetClientID(context.Context, *drivers.Task, string, string) error { return nil }

// Clean does nothing.
func (None) Clean(context.Context, *drivers.Task) error { return nil }

// Addresses knows none.
func (None) Addresses(context.Context, *drivers.Task) ([]string, error) { return nil, nil }

// TagsIPXE is false: nothing is known of the server.
func (None) TagsIPXE() bool { return false }
