package idrac

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers/redfish"
)

// profile is a server configuration profile (SCP) in JSON, as far as it is looked into.
type profile struct {
	SystemConfiguration *struct {
		Components []component
	}
}

type component struct {
	FQDD       string
	Attributes []attribute
}

type attribute struct{ Name, Value string }

// UnmarshalJSON takes values that are no texts, too: nobody compares them.
func (a *attribute) UnmarshalJSON(text []byte) error {
	var raw struct {
		Name  string
		Value any
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	value, _ := raw.Value.(string)
	*a = attribute{raw.Name, value}
	return nil
}

// managerAction is the target of one of the actions that Dell adds to a manager.
func managerAction(m *schemas.Manager, name string) (string, error) {
	var raw struct {
		Actions struct{ Oem map[string]json.RawMessage }
	}
	if err := json.Unmarshal(m.RawData, &raw); err != nil {
		return "", fmt.Errorf("reading Dell's actions: %w", err)
	}
	target := action(raw.Actions.Oem, name)
	if target == "" {
		return "", fmt.Errorf("the action #%s is missing from the resource %s", name, m.ODataID)
	}
	return target, nil
}

// export asks an iDRAC for the profile of a part of the machine: "ALL" or "NIC". use and include are what Dell calls ExportUse and
// IncludeInExport.
func export(s *redfish.System, m *schemas.Manager, cfg Config, part, use, include string) (json.RawMessage, error) {
	target, err := managerAction(m, "OemManager.ExportSystemConfiguration")
	if err != nil {
		return nil, err
	}
	return s.Obtain(target, map[string]any{"ShareParameters": map[string]string{"Target": part}, "ExportFormat": "JSON", "ExportUse": use,
		"IncludeInExport": include}, cfg.ExportTimeout, cfg.TaskPoll)
}

// errNoProfile is an answer to an export that holds no settings, such as the task of an export that failed.
var errNoProfile = errors.New("failed to get system configuration from response")
