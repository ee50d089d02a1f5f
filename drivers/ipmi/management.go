package ipmi

import (
	"context"
	"regexp"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Management is the management interface ipmitool.
type Management struct {
	base
	drivers.BareManagement
}

// NewManagement returns the management interface ipmitool.
func NewManagement(c *Client) *Management { return &Management{base: base{client: c}} }

// NewManagementOf returns the same for nodes that name their BMC in words of their own, as NewConsoleOf has it.
func NewManagementOf(c *Client, driverInfo func(*store.Node) store.Dict) *Management {
	return &Management{base: base{client: c, words: driverInfo}}
}

// InjectNMI sends a diagnostic interrupt.
func (m *Management) InjectNMI(ctx context.Context, t *drivers.Task) error {
	_, err := m.ask(ctx, t, chassisControl("diag"))
	return err
}

var manufacturer = regexp.MustCompile(`Manufacturer Name *: (.+)`)

// DetectVendor returns the manufacturer of the BMC in lower case; "" when it names none. Only ipmitool knows the names.
func (m *Management) DetectVendor(ctx context.Context, t *drivers.Task) (string, error) {
	r, err := m.ask(ctx, t, command{words: "mc info"})
	if err != nil {
		return "", err
	}
	if found := manufacturer.FindStringSubmatch(r.text); found != nil {
		return strings.ToLower(found[1]), nil
	}
	return "", nil
}

var (
	_ drivers.Management = (*Management)(nil)
	_ drivers.Sensing    = (*Management)(nil)
)
