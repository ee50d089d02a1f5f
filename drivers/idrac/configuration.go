package idrac

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/jsonschema"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Molds are where configurations are read from and written to.
type Molds interface {
	Get(ctx context.Context, t *drivers.Task, url string) (json.RawMessage, error)
	Put(ctx context.Context, t *drivers.Task, url string, document any) error
}

// configurations are the steps that write a machine's settings into a mold, and set a machine up by one, through Dell's server
// configuration profiles.
type configurations struct {
	bmcs   *redfish.BMCs
	cfg    Config
	molds  Molds
	schema *jsonschema.Schema
}

//go:embed conf_mold.json
var moldSchema []byte

func newConfigurations(b *redfish.BMCs, cfg Config, molds Molds) *configurations {
	return &configurations{b, cfg, molds, jsonschema.MustParse(moldSchema)}
}

// The names of the steps' arguments.
const (
	argExport = "export_configuration_location"
	argImport = "import_configuration_location"
)

func (c *configurations) steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.CleanStep && kind != drivers.DeployStep {
		return nil
	}
	to := drivers.StepArg{Description: "URL of location to save the configuration to.", Required: true}
	from := drivers.StepArg{Description: "URL of location to fetch desired configuration from.", Required: true}
	steps := []drivers.Step{
		{Name: "export_configuration", Args: map[string]drivers.StepArg{argExport: to}, Run: c.exportTo},
		{Name: "import_configuration", Args: map[string]drivers.StepArg{argImport: from}, Run: c.begin, Resume: c.goOn},
		{Name: "import_export_configuration", Args: map[string]drivers.StepArg{argImport: from, argExport: to}, Run: c.begin, Resume: c.goOn},
	}
	for i := range steps {
		steps[i].Interface, steps[i].RequiresRamdisk = drivers.TypeManagement, kind == drivers.DeployStep
	}
	return steps
}

func dracFailed(format string, args ...any) error {
	return store.Errorf(store.DracOperationError, "DRAC operation failed. Reason: %s", fmt.Sprintf(format, args...))
}

// destructive are how settings begin by which an iDRAC is reached: another one that imported them could not be reached any more.
var destructive = []string{"IPv4Static", "IPv6Static", "IPv4.1#Enable", "IPv4.1#DHCPEnable", "IPv6.1#Enable", "IPv6.1#AutoConfig"}

const ownComponent = "iDRAC.Embedded.1"

// exportTo writes the settings of the whole machine into a mold. It may run again.
func (c *configurations) exportTo(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	where := args.String(argExport)
	if where == "" {
		return drivers.Done, store.Errorf(store.MissingParameterValue, "export_configuration_location missing")
	}
	const what = "export system configuration"
	var settings json.RawMessage
	err := c.bmcs.Do(ctx, t, what, func(s *redfish.System) error {
		managers, err := s.Managers()
		if err == nil && len(managers) == 0 {
			err = dracFailed("No managers found for %s", t.Node.UUID)
		}
		if err != nil {
			return err
		}
		return onManagers(s, t, what, func(m *schemas.Manager) (err error) {
			settings, err = export(s, m, c.cfg, "ALL", "Clone", "IncludeReadOnly,IncludePasswordHashValues")
			return err
		})
	})
	if err != nil {
		return drivers.Done, err
	}
	if settings, err = withoutAddresses(settings); err != nil {
		return drivers.Done, dracFailed("No configuration exported for node %s", t.Node.UUID)
	}
	return drivers.Done, c.molds.Put(ctx, t, where, map[string]any{"oem": map[string]any{"interface": "idrac-redfish", "data": settings}})
}

// withoutAddresses takes what is destructive out of a profile, and leaves all else as it is.
func withoutAddresses(text json.RawMessage) (json.RawMessage, error) {
	var whole map[string]json.RawMessage
	var settings map[string]json.RawMessage
	var components []map[string]json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		return nil, err
	}
	if whole["SystemConfiguration"] == nil {
		return nil, errNoProfile
	}
	if err := json.Unmarshal(whole["SystemConfiguration"], &settings); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(settings["Components"], &components); err != nil {
		return nil, err
	}
	for _, component := range components {
		var name string
		if json.Unmarshal(component["FQDD"], &name) != nil || name != ownComponent {
			continue
		}
		var attributes []json.RawMessage
		if err := json.Unmarshal(component["Attributes"], &attributes); err != nil {
			return nil, err
		}
		kept := []json.RawMessage{}
		for _, raw := range attributes {
			var a attribute
			if err := json.Unmarshal(raw, &a); err != nil {
				return nil, err
			}
			if !a.destructive() {
				kept = append(kept, raw)
			}
		}
		var err error
		if component["Attributes"], err = json.Marshal(kept); err != nil {
			return nil, err
		}
	}
	var err error
	if settings["Components"], err = json.Marshal(components); err != nil {
		return nil, err
	}
	if whole["SystemConfiguration"], err = json.Marshal(settings); err != nil {
		return nil, err
	}
	return json.Marshal(whole)
}

func (a attribute) destructive() bool {
	for _, beginning := range destructive {
		if strings.HasPrefix(a.Name, beginning) {
			return true
		}
	}
	return false
}

// read returns the profile in the mold at a URL, without white space.
func (c *configurations) read(ctx context.Context, t *drivers.Task, where string) (string, error) {
	if where == "" {
		return "", store.Errorf(store.MissingParameterValue, "import_configuration_location missing")
	}
	text, err := c.molds.Get(ctx, t, where)
	if err != nil {
		return "", err
	}
	document, err := parseMold(text)
	if err != nil {
		return "", err
	}
	if !store.PythonTrue(document) {
		return "", dracFailed("No configuration found for node %s by name %s", t.Node.UUID, where)
	}
	if fault := c.schema.Check(withoutSettings(document)); fault != nil {
		return "", store.Errorf(store.InvalidParameterValue, "Invalid configuration mold: %w", fault)
	}
	var mold struct {
		Oem struct{ Data json.RawMessage }
	}
	if err := json.Unmarshal(text, &mold); err != nil {
		return "", fmt.Errorf("reading a configuration mold: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, mold.Oem.Data); err != nil {
		return "", fmt.Errorf("reading a configuration mold: %w", err)
	}
	return compact.String(), nil
}

// withoutSettings is a mold as errors may show it: what it holds may be passwords and their hashes, and more than a node's last error has
// room for. The schema finds the same wrong with it.
func withoutSettings(document any) any {
	const hidden = "***"
	switch v := document.(type) {
	case string:
		return hidden
	case []any:
		if len(v) > 0 {
			return []any{hidden}
		}
	case map[string]any:
		shown := make(map[string]any, len(v))
		for name, value := range v {
			settings, isObject := value.(map[string]any)
			switch {
			case name == "interface":
				shown[name] = value
			case name == "data" && isObject && len(settings) > 0:
				shown[name] = map[string]any{hidden: hidden}
			default:
				shown[name] = withoutSettings(value)
			}
		}
		return shown
	}
	return document
}

// parseMold is a mold as the schema takes it, nil for none.
func parseMold(text json.RawMessage) (any, error) {
	if len(text) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var document any
	if err := decoder.Decode(&document); err != nil {
		return nil, fmt.Errorf("reading a configuration mold: %w", err)
	}
	return document, nil
}
