package ipmi

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Vendor is the vendor interface ipmitool: raw commands, and restarts of the BMC.
type Vendor struct{ base }

// NewVendor returns the vendor interface ipmitool.
func NewVendor(c *Client) *Vendor { return &Vendor{base{client: c}} }

// NodeMethods are send_raw and bmc_reset.
func (v *Vendor) NodeMethods() map[string]drivers.VendorMethod {
	return map[string]drivers.VendorMethod{
		"send_raw": {HTTPMethods: []string{"POST"}, Args: []string{"raw_bytes"}, Function: "VendorPassthru.send_raw", Run: v.sendRaw,
			Description: "Send raw bytes to the BMC. Required argument: 'raw_bytes' - a string of raw bytes (e.g. '0x00 0x01')."},
		"bmc_reset": {HTTPMethods: []string{"POST"}, Args: []string{"warm"}, Function: "VendorPassthru.bmc_reset", Run: v.resetBMC,
			Description: "Reset the BMC. Required argument: 'warm' (Boolean) - for warm (True) or cold (False) reset."},
	}
}

// DriverMethods are none.
func (*Vendor) DriverMethods() map[string]drivers.VendorMethod { return nil }

// ValidateMethod checks that there are bytes to be sent, and driver_info.
func (v *Vendor) ValidateMethod(ctx context.Context, t *drivers.Task, method string, args store.Dict) error {
	if method == "send_raw" && !store.PythonTrue(args["raw_bytes"]) {
		return store.Errorf(store.MissingParameterValue, "Parameter raw_bytes (string of bytes) was not specified.")
	}
	return v.Validate(ctx, t)
}

// Steps offers send_raw, where the release has it.
func (v *Vendor) Steps(kind drivers.StepKind) []drivers.Step {
	if !v.client.cfg.RawStep || kind == drivers.VerifyStep {
		return nil
	}
	return []drivers.Step{{
		Interface: drivers.TypeVendor, Name: "send_raw", RequiresRamdisk: kind != drivers.CleanStep,
		Args: map[string]drivers.StepArg{"raw_bytes": {Required: true,
			Description: "A string of raw bytes to convey the request to transmit to the remote BMC."}},
		Run: func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
			if args.String("raw_bytes") == "" {
				return drivers.Done, store.Errorf(store.MissingParameterValue, "Argument raw_bytes is missing.")
			}
			_, err := v.sendRaw(ctx, t, args)
			return drivers.Done, err
		},
	}}
}

func (v *Vendor) sendRaw(ctx context.Context, t *drivers.Task, args store.Dict) (any, error) {
	text := store.PythonText(args["raw_bytes"])
	c, err := rawCommand(text)
	if err != nil {
		t.Log.Warn().Err(err).Msg("Raw bytes were not sent")
		return nil, store.Errorf(store.IPMIFailure, "IPMI call failed: raw %s.", text)
	}
	_, err = v.ask(ctx, t, c)
	return nil, err
}

func (v *Vendor) resetBMC(ctx context.Context, t *drivers.Task, args store.Dict) (any, error) {
	// strutils.bool_from_string: what is neither true nor false is false.
	warm := true
	if _, told := args["warm"]; told {
		warm = args.Bool("warm", false)
	}
	_, err := v.ask(ctx, t, bmcReset(warm))
	return nil, err
}

var _ drivers.Vendor = (*Vendor)(nil)
