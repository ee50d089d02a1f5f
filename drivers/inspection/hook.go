package inspection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// work is what hooks act on.
type work struct {
	*drivers.Task
	cfg  Config
	keep Store
	// inventory is what was found. Hooks leave it alone.
	inventory store.Dict
	// plugin is what came beside the inventory, and what hooks hand on to each other.
	plugin store.Dict
}

// hook is one of ironic's inspection hooks. Its parts may be nil.
type hook struct {
	// needs are hooks that have to stand before it.
	needs []string
	// check looks at the findings before anything is changed.
	check func(ctx context.Context, w *work) error
	// apply writes what it makes of the findings.
	apply func(ctx context.Context, w *work) error
}

// hooks are all that this build has, by ironic's names.
var hooks = map[string]hook{
	"ramdisk-error":         {check: ramdiskError},
	"validate-interfaces":   {check: validateInterfaces},
	"ports":                 {needs: []string{"validate-interfaces"}, apply: updatePorts},
	"architecture":          {apply: architecture},
	"memory":                {apply: memory},
	"cpus":                  {apply: cpus},
	"boot-mode":             {apply: bootMode},
	"cpu-capabilities":      {apply: cpuCapabilities},
	"pci-devices":           {apply: pciDevices},
	"accelerators":          {apply: accelerators},
	"extra-hardware":        {apply: extraHardware},
	"local-link-connection": {needs: []string{"validate-interfaces"}, apply: localLinkConnection},
	"parse-lldp":            {apply: parseLLDP},
	"physical-network":      {needs: []string{"validate-interfaces"}, apply: physicalNetwork},
	"raid-device":           {apply: raidDevice},
	"root-device":           {apply: rootDevice},
}

// Hooks are those that an operator wants, in their order.
type Hooks struct {
	names []string
	cfg   Config
	keep  Store
}

// NewHooks reads a list of hooks with commas between. It refuses names that the build lacks, and hooks whose prerequisites do not stand
// before them.
func NewHooks(list string, cfg Config, keep Store) (*Hooks, error) {
	h := &Hooks{cfg: cfg, keep: keep}
	var unknown, early []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		one, known := hooks[name]
		known = known && (name != "cpus" || cfg.Differences.CPUs)
		switch {
		case name == "":
			continue
		case !known:
			unknown = append(unknown, name)
			continue
		}
		missing := slices.DeleteFunc(slices.Clone(one.needs), func(need string) bool { return slices.Contains(h.names, need) })
		if len(missing) > 0 {
			early = append(early, fmt.Sprintf("Hook %s requires these missing hooks to be enabled before it: %s", name,
				strings.Join(missing, ", ")))
		}
		h.names = append(h.names, name)
	}
	switch {
	case len(unknown) > 0:
		return nil, fmt.Errorf("the following hook(s) are missing or failed to load: %s", strings.Join(unknown, ", "))
	case len(early) > 0:
		return nil, fmt.Errorf("some hooks failed to load due to dependency problems: %s", strings.Join(early, ", "))
	}
	return h, nil
}

// Run lets every hook look at the findings, and then every hook act on them. It fails with HardwareInspectionFailure; what the first
// hooks changed by then stays.
func (h *Hooks) Run(ctx context.Context, t *drivers.Task, inventory, pluginData store.Dict) error {
	w := &work{Task: t, cfg: h.cfg, keep: h.keep, inventory: inventory, plugin: pluginData}
	var failures []string
	for _, name := range h.names {
		if check := hooks[name].check; check != nil {
			switch err := check(ctx, w); {
			case err == nil:
			case store.KindOf(err) == store.HardwareInspectionFailure:
				failures = append(failures, fmt.Sprintf("Error in preprocess hook %s: %s", name, err))
			default:
				failures = append(failures, fmt.Sprintf("Unexpected exception %s during preprocess hook %s: %s",
					exceptionClass(err), name, err))
			}
		}
	}
	if len(failures) > 0 {
		return failure("The following failures happened while running preprocess hooks for node %s:\n%s", t.Node.UUID,
			strings.Join(failures, "\n"))
	}
	for _, name := range h.names {
		if apply := hooks[name].apply; apply != nil {
			err := apply(ctx, w)
			if err == nil {
				continue
			}
			if errors.Is(err, store.ErrLockLost) || ctx.Err() != nil || store.KindOf(err) == store.HardwareInspectionFailure {
				return err
			}
			return failure("Unexpected exception %s during processing for node: %s. Error: %w", exceptionClass(err), t.Node.UUID, err)
		}
	}
	return nil
}

// failure is ironic's HardwareInspectionFailure.
func failure(format string, args ...any) error {
	return store.Errorf(store.HardwareInspectionFailure, "Failed to inspect hardware. Reason: "+format, args...)
}

// exceptionClass names the class that ironic's text would name.
func exceptionClass(err error) string {
	if kind := store.KindOf(err); kind != "" {
		return string(kind)
	}
	var m *malformed
	if errors.As(err, &m) {
		return m.class
	}
	return "Exception"
}

// malformed are findings that are not as a hook needs them. class is Python's for what is wrong.
type malformed struct{ class, text string }

func (m *malformed) Error() string { return m.text }

// absent is that a key is not there.
func absent(key string) error { return &malformed{"KeyError", store.PythonRepr(key)} }

// mistyped is that a value is not of the type that is expected.
func mistyped(format string, args ...any) error {
	return &malformed{"TypeError", fmt.Sprintf(format, args...)}
}

// invalid is what is wrong with an inventory.
func (w *work) invalid(reason string) error {
	return store.Errorf(store.InvalidNodeInventory, "Inventory for node %s is invalid: %s", w.Node.UUID, reason)
}
