package catalog

import (
	"cmp"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Field returns the node's own choice of an interface, to be read and written; "" stands for none.
func Field(n *store.Node, typ drivers.InterfaceType) *string {
	switch typ {
	case drivers.TypeBIOS:
		return &n.BIOSInterface
	case drivers.TypeBoot:
		return &n.BootInterface
	case drivers.TypeConsole:
		return &n.ConsoleInterface
	case drivers.TypeDeploy:
		return &n.DeployInterface
	case drivers.TypeFirmware:
		return &n.FirmwareInterface
	case drivers.TypeInspect:
		return &n.InspectInterface
	case drivers.TypeManagement:
		return &n.ManagementInterface
	case drivers.TypeNetwork:
		return &n.NetworkInterface
	case drivers.TypePower:
		return &n.PowerInterface
	case drivers.TypeRAID:
		return &n.RAIDInterface
	case drivers.TypeRescue:
		return &n.RescueInterface
	case drivers.TypeStorage:
		return &n.StorageInterface
	case drivers.TypeVendor:
		return &n.VendorInterface
	}
	return new(string)
}

// Fill checks every interface that a node names and gives it the default where it names none; it does not save the node.
// changed tells that a field was filled. On an error the node is as it was.
// It is called when a node is created, updated, and before anything acts on it, for a conductor's configuration may have
// changed in between.
func (e *Enabled) Fill(n *store.Node) (changed bool, err error) {
	hw, err := e.hardwareType(n.Driver)
	if err != nil {
		return false, err
	}
	defaults := map[drivers.InterfaceType]string{}
	for _, typ := range interfaceTypes(e.Catalog) {
		var named []string
		// An override may be an empty text, which nothing is called; the node's own choice is none then.
		if override := n.InstanceInfo[string(typ)+"_interface"]; override != nil {
			named = append(named, store.PythonText(override))
		}
		if own := *Field(n, typ); own != "" {
			named = append(named, own)
		}
		for _, name := range named {
			if err := e.check(hw, typ, name); err != nil {
				return false, err
			}
		}
		if len(named) > 0 {
			continue
		}
		defaults[typ] = e.Default(n.Driver, typ)
	}
	for typ, name := range defaults {
		*Field(n, typ) = name
	}
	return len(defaults) > 0, nil
}

// Hardware returns the interfaces that act for a node, after Fill. A choice in instance_info is stronger than the node's
// own for as long as the instance lives.
func (e *Enabled) Hardware(n *store.Node) (*drivers.Hardware, error) {
	if _, err := e.Fill(n); err != nil {
		return nil, err
	}
	names := map[drivers.InterfaceType]string{}
	for _, typ := range interfaceTypes(e.Catalog) {
		names[typ] = *Field(n, typ)
		if override := n.InstanceInfo.String(string(typ) + "_interface"); override != "" {
			names[typ] = override
		}
	}
	return e.Catalog.Compose(names)
}

// Interface returns the interface of one type that acts for a node, as Hardware does; nil when it is not enabled.
func (e *Enabled) Interface(n *store.Node, typ drivers.InterfaceType) drivers.Interface {
	name := cmp.Or(n.InstanceInfo.String(string(typ)+"_interface"), *Field(n, typ), e.Default(n.Driver, typ))
	return e.Catalog.Implementations[typ][name]
}

// check reports why a hardware type cannot use an interface: it is not enabled, or not made for it.
func (e *Enabled) check(hw drivers.HardwareType, typ drivers.InterfaceType, name string) error {
	impl, err := e.Catalog.Lookup(typ, name)
	if err != nil {
		return err
	}
	if hw.Name == fakeHardware || slices.Contains(hw.Supported[typ], name) {
		return nil
	}
	return store.Errorf(store.IncompatibleInterface,
		"%s interface implementation '%s' is not supported by hardware type %s.",
		typ, pythonObject(typ, name, impl), pythonClass(hw.Name))
}

// computeDefault follows reference/drivers.md §2.4.
func (e *Enabled) computeDefault(hardware string, typ drivers.InterfaceType) (string, error) {
	hw := e.Catalog.Types[hardware]
	none := store.Errorf(store.NoValidDefaultForInterface,
		"For hardware type '%s', no default value found for %s interface could be determined. "+
			"Please ensure the interfaces are enabled.", hardware, typ)
	if name := e.defaults[typ]; name != "" {
		err := e.check(hw, typ, name)
		if store.KindOf(err) == store.IncompatibleInterface {
			return "", none
		}
		return name, err
	}
	for _, name := range hw.Supported[typ] {
		if e.Catalog.Implementations[typ][name] != nil {
			return name, nil
		}
	}
	return "", none
}
