package conductor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type vendorArgs struct {
	NodeID       string          `json:"node_id"`
	DriverMethod string          `json:"driver_method" python:"key"`
	HTTPMethod   any             `json:"http_method"`
	Info         json.RawMessage `json:"info"`
}

// vendorPassthru runs a method of the node's vendor interface: at once, or in the background when it is asynchronous.
//
// Crash window: background work that is cut short is not run again, for nobody knows what sending it twice does.
func (c *Conductor) vendorPassthru(ctx context.Context, rq oslo.Context, a vendorArgs) (any, error) {
	var answer map[string]any
	err := c.readNode(ctx, rq, a.NodeID, "calling vendor passthru", func(ctx context.Context, t *task) error {
		m, err := vendorMethod(t.Hardware.Vendor.NodeMethods(), a.DriverMethod, a.HTTPMethod)
		if err != nil {
			return err
		}
		if !m.Shared {
			if err := t.upgrade(ctx, "calling vendor passthru", 0); err != nil {
				return err
			}
		}
		info, err := vendorKeywords(a.Info, catalog.VendorClass(cmp.Or(t.Node.InstanceInfo.String("vendor_interface"), t.Node.VendorInterface)))
		if err != nil {
			return err
		}
		if err := t.Hardware.Vendor.ValidateMethod(ctx, t.Task, a.DriverMethod, info); err != nil {
			return err
		}
		var result any
		if m.Sync {
			acting, done := c.acting(ctx)
			defer done()
			if result, err = runVendorMethod(acting, m, t.Task, info); err != nil {
				return vendorFailure(err)
			}
		} else {
			t.after(func(ctx context.Context, t *task) {
				if _, err := runVendorMethod(ctx, m, t.Task, info); err != nil {
					t.vendorFailed(ctx, a.DriverMethod, err)
				}
			}, nil)
		}
		answer = vendorAnswer(m, result)
		return nil
	})
	return answer, err
}

// vendorMethod finds a method and checks that it may be called so.
func vendorMethod(methods map[string]drivers.VendorMethod, name string, httpMethod any) (drivers.VendorMethod, error) {
	m, known := methods[name]
	if !known {
		return m, store.Errorf(store.InvalidParameterValue, "No handler for method %s", name)
	}
	asked, isText := httpMethod.(string)
	if !isText {
		return m, oslo.Builtin("AttributeError", "'%s' object has no attribute 'upper'", store.PythonType(httpMethod))
	}
	if verb := strings.ToUpper(asked); !slices.Contains(m.HTTPMethods, verb) {
		return m, store.Errorf(store.InvalidParameterValue, "The method %s does not support HTTP %s", name, verb)
	}
	return m, nil
}

// vendorKeywords reads the arguments of a vendor method. Those that are no object, and names which ironic's own arguments have, fail as
// in Python when class's validate() is called with them.
func vendorKeywords(raw json.RawMessage, class string) (store.Dict, error) {
	var value any
	if err := decodeArg(raw, &value); err != nil {
		return nil, store.Errorf(store.InvalidParameterValue, "The arguments of a vendor method cannot be read: %w", err)
	}
	object, isObject := value.(map[string]any)
	if !isObject {
		return nil, oslo.Builtin("TypeError", "%s.validate() argument after ** must be a mapping, not %s", class, store.PythonType(value))
	}
	for _, name := range []string{"method", "http_method"} {
		if _, taken := object[name]; taken {
			return nil, oslo.Builtin("TypeError", "%s.validate() got multiple values for keyword argument '%s'", class, name)
		}
	}
	for _, name := range []string{"self", "task"} {
		if _, taken := object[name]; taken {
			return nil, oslo.Builtin("TypeError", "%s.validate() got multiple values for argument '%s'", class[strings.LastIndex(class, ".")+1:], name)
		}
	}
	return object, nil
}

// runVendorMethod refuses an argument that a method does not have, as Python does when the method is called: in the words of a
// TypeError.
func runVendorMethod(ctx context.Context, m drivers.VendorMethod, t *drivers.Task, info store.Dict) (any, error) {
	for _, arg := range slices.Sorted(maps.Keys(info)) {
		if m.Args != nil && !slices.Contains(m.Args, arg) {
			err := store.Errorf(store.VendorPassthruException, "%s() got an unexpected keyword argument '%s'", m.Function, arg)
			err.Argument = fmt.Sprintf("TypeError(%q)", err.Message)
			return nil, err
		}
	}
	return m.Run(ctx, t, info)
}

// vendorFailed records how a method failed that nobody waits for, unless the node tells of an error already.
func (t *task) vendorFailed(ctx context.Context, method string, err error) {
	t.Log.Error().Err(err).Str("method", method).Msg("vendor_passthru failed")
	// Nothing is written to a node that others may hold.
	if t.Shared || t.Node.LastError != "" {
		return
	}
	t.Node.LastError = fmt.Sprintf("Async execution of %s failed with error: %s", method, err)
	if err := t.save(ctx); err != nil {
		t.Log.Error().Err(err).Str("method", method).Msg("Recording how vendor_passthru failed failed")
	}
}

// vendorFailure names an error that has no name of ironic's.
func vendorFailure(err error) error {
	if store.KindOf(err) == "" {
		return store.Errorf(store.VendorPassthruException, "%w", err)
	}
	return err
}

func vendorAnswer(m drivers.VendorMethod, result any) map[string]any {
	return map[string]any{"return": result, "async": !m.Sync, "attach": false}
}

type driverVendorArgs struct {
	DriverName   string          `json:"driver_name" python:"key"`
	DriverMethod string          `json:"driver_method" python:"key"`
	HTTPMethod   any             `json:"http_method"`
	Info         json.RawMessage `json:"info"`
}

// driverVendorPassthru runs a method of the vendor interface that nodes of a hardware type have by default.
func (c *Conductor) driverVendorPassthru(ctx context.Context, rq oslo.Context, a driverVendorArgs) (any, error) {
	vendor, err := c.defaultVendor(a.DriverName)
	if err != nil {
		return nil, err
	}
	m, err := vendorMethod(vendor.DriverMethods(), a.DriverMethod, a.HTTPMethod)
	if err != nil {
		return nil, err
	}
	info, err := vendorKeywords(a.Info, catalog.VendorClass(c.hardware.Default(a.DriverName, drivers.TypeVendor)))
	if err != nil {
		return nil, err
	}
	run := func(ctx context.Context) (any, error) { return runVendorMethod(ctx, m, nil, info) }
	if m.Sync {
		acting, done := c.acting(ctx)
		defer done()
		result, err := run(acting)
		if err != nil {
			return nil, vendorFailure(err)
		}
		return vendorAnswer(m, result), nil
	}
	log := c.log.With().Str("driver", a.DriverName).Str("method", a.DriverMethod).Str("request_id", rq.RequestID).Logger()
	err = c.pool.StartUnreserved(c.working(), func(ctx context.Context) {
		if _, err := run(ctx); err != nil {
			log.Error().Err(err).Msg("driver_vendor_passthru failed")
		}
	})
	return vendorAnswer(m, nil), err
}

func (c *Conductor) defaultVendor(hardware string) (drivers.Vendor, error) {
	i, err := c.defaultInterface(hardware, drivers.TypeVendor)
	if err != nil {
		return nil, err
	}
	vendor, ok := i.(drivers.Vendor)
	if !ok {
		return nil, drivers.UnsupportedBy(hardware, string(drivers.TypeVendor))
	}
	return vendor, nil
}

// defaultInterface is the interface of a type that nodes of a hardware type have when they name none.
func (c *Conductor) defaultInterface(hardware string, typ drivers.InterfaceType) (drivers.Interface, error) {
	if _, err := c.hardware.Properties(hardware); err != nil {
		return nil, err
	}
	return c.hardware.Catalog.Lookup(typ, c.hardware.Default(hardware, typ))
}

func (c *Conductor) getNodeVendorPassthruMethods(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	answer := map[string]any{}
	err := c.readNode(ctx, rq, a.NodeID, "listing vendor passthru methods", func(_ context.Context, t *task) error {
		for name, m := range t.Hardware.Vendor.NodeMethods() {
			described := describeVendorMethod(m)
			described["require_exclusive_lock"] = !m.Shared
			answer[name] = described
		}
		return nil
	})
	return answer, err
}

func (c *Conductor) getDriverVendorPassthruMethods(_ context.Context, _ oslo.Context, a driverArgs) (any, error) {
	vendor, err := c.defaultVendor(a.DriverName)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{}
	for name, m := range vendor.DriverMethods() {
		answer[name] = describeVendorMethod(m)
	}
	return answer, nil
}

func describeVendorMethod(m drivers.VendorMethod) map[string]any {
	return map[string]any{"http_methods": m.HTTPMethods, "async": !m.Sync, "description": m.Description, "attach": false}
}
