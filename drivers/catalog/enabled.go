package catalog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// List is the value of one enabled_* option.
type List struct {
	Names []string
	// Explicit tells that the operator wrote the list. A default may name what this build lacks; an operator's list may
	// not, for what it names is wanted.
	Explicit bool
}

// Config says what is enabled.
type Config struct {
	HardwareTypes List
	// Interfaces are the lists by type. An empty list stands for the first choice of each enabled hardware type.
	Interfaces map[drivers.InterfaceType]List
	// Defaults are the interfaces for nodes that name none, by type; "" leaves the choice to the hardware type.
	Defaults map[drivers.InterfaceType]string
}

// Enabled is the enabled part of a catalog.
type Enabled struct {
	// Catalog holds the enabled hardware types and implementations only; what a hardware type supports is not narrowed.
	Catalog  *drivers.Catalog
	defaults map[drivers.InterfaceType]string
	// first is the default of each interface type, by hardware type.
	first map[string]map[drivers.InterfaceType]string
}

// Enable works out what is enabled. The error lists every name that an operator asked for and the build lacks, and
// every hardware type for which an interface type has no default; warnings tell what was left out of lists that nobody
// wrote, and what was written twice.
func Enable(all *drivers.Catalog, c Config) (e *Enabled, warnings []string, err error) {
	r := resolver{all: all}
	types := r.hardwareTypes(c.HardwareTypes)
	e = &Enabled{
		Catalog:  &drivers.Catalog{Types: types, Implementations: map[drivers.InterfaceType]map[string]drivers.Interface{}},
		defaults: c.Defaults,
		first:    map[string]map[drivers.InterfaceType]string{},
	}
	for _, typ := range interfaceTypes(all) {
		e.Catalog.Implementations[typ] = r.interfaces(typ, c.Interfaces[typ], types)
	}
	if len(r.errs) > 0 {
		return nil, r.warnings, errors.Join(r.errs...)
	}
	for _, name := range e.HardwareTypes() {
		e.first[name] = map[drivers.InterfaceType]string{}
		for _, typ := range interfaceTypes(all) {
			impl, err := e.computeDefault(name, typ)
			if err != nil {
				r.errs = append(r.errs, err)
				continue
			}
			e.first[name][typ] = impl
		}
	}
	if len(r.errs) > 0 {
		return nil, r.warnings, errors.Join(r.errs...)
	}
	return e, r.warnings, nil
}

type resolver struct {
	all      *drivers.Catalog
	warnings []string
	errs     []error
}

func (r *resolver) hardwareTypes(list List) map[string]drivers.HardwareType {
	known := slices.Sorted(maps.Keys(r.all.Types))
	types := map[string]drivers.HardwareType{}
	for _, name := range r.names("enabled_hardware_types", "ironic.hardware.types", list, known) {
		types[name] = r.all.Types[name]
	}
	if len(types) == 0 && len(r.errs) == 0 {
		r.errs = append(r.errs, fmt.Errorf("enabled_hardware_types: no hardware type is enabled; this build has %s",
			strings.Join(known, ", ")))
	}
	return types
}

func (r *resolver) interfaces(typ drivers.InterfaceType, list List, types map[string]drivers.HardwareType) map[string]drivers.Interface {
	names := r.names(fmt.Sprintf("enabled_%s_interfaces", typ), fmt.Sprintf("ironic.hardware.interfaces.%s", typ),
		list, r.all.Names(typ))
	if !slices.ContainsFunc(list.Names, func(n string) bool { return n != "" }) {
		for _, hw := range types {
			if supported := hw.Supported[typ]; len(supported) > 0 {
				names = append(names, supported[0])
			}
		}
	}
	out := map[string]drivers.Interface{}
	for _, name := range names {
		out[name] = r.all.Implementations[typ][name]
	}
	return out
}

// names returns those of a list that the build has, and notes what is wrong with the others.
func (r *resolver) names(option, entrypoint string, list List, built []string) []string {
	var known, missing, twice []string
	for _, name := range list.Names {
		switch {
		case name == "":
			r.warnings = append(r.warnings, option+": an empty name is ignored")
		case slices.Contains(known, name) || slices.Contains(missing, name):
			twice = append(twice, name)
		case slices.Contains(built, name):
			known = append(known, name)
		default:
			missing = append(missing, name)
		}
	}
	if len(twice) > 0 {
		r.warnings = append(r.warnings, fmt.Sprintf("%s: named more than once: %s", option, strings.Join(twice, ", ")))
	}
	switch {
	case len(missing) == 0:
	case list.Explicit:
		r.errs = append(r.errs, store.Errorf(store.DriverNotFound,
			"%s: Could not find the following items in the '%s' entrypoint: %s. This build has %s.",
			option, entrypoint, strings.Join(missing, ", "), strings.Join(built, ", ")))
	default:
		r.warnings = append(r.warnings, fmt.Sprintf("%s: the default names what this build does not have, left out: %s",
			option, strings.Join(missing, ", ")))
	}
	return known
}

// HardwareTypes returns the names of the enabled hardware types, sorted.
func (e *Enabled) HardwareTypes() []string { return slices.Sorted(maps.Keys(e.Catalog.Types)) }

// Interfaces returns the names that are enabled and supported by a hardware type, sorted.
func (e *Enabled) Interfaces(hardware string, typ drivers.InterfaceType) []string {
	names := slices.DeleteFunc(slices.Clone(e.Catalog.Types[hardware].Supported[typ]), func(name string) bool {
		return e.Catalog.Implementations[typ][name] == nil
	})
	slices.Sort(names)
	return names
}

// Default returns what a node of a hardware type gets when it names no interface of a type; "" when either is not enabled.
func (e *Enabled) Default(hardware string, typ drivers.InterfaceType) string {
	return e.first[hardware][typ]
}

// Rows returns what the conductor registers for ironic-api: reference/drivers.md §2.5.
func (e *Enabled) Rows() []store.HardwareInterface {
	var rows []store.HardwareInterface
	for _, hardware := range e.HardwareTypes() {
		for _, typ := range interfaceTypes(e.Catalog) {
			for _, name := range e.Interfaces(hardware, typ) {
				rows = append(rows, store.HardwareInterface{HardwareType: hardware, InterfaceType: string(typ),
					InterfaceName: name, Default: name == e.Default(hardware, typ)})
			}
		}
	}
	return rows
}

// Properties returns the driver_info keys that the default interfaces of a hardware type read, with their descriptions. Where several
// read one, the interface tells of it that stands last in ironic's own order: what deploys, not what boots.
func (e *Enabled) Properties(hardware string) (map[string]string, error) {
	if _, err := e.hardwareType(hardware); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, typ := range interfaceTypes(e.Catalog) {
		if name, ok := e.first[hardware][typ]; ok {
			maps.Copy(out, e.Catalog.Implementations[typ][name].Properties())
		}
	}
	return out, nil
}

func (e *Enabled) hardwareType(name string) (drivers.HardwareType, error) {
	hw, ok := e.Catalog.Types[name]
	if !ok {
		return hw, store.Errorf(store.DriverNotFound,
			"Could not find the following driver(s) or hardware type(s): %s.", name)
	}
	return hw, nil
}
