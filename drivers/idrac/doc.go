// Package idrac drives Dell's machines, the hardware type idrac, over the Redfish service of the iDRAC: what drivers/redfish does, and
// where an iDRAC wants Dell's own calls, those (upstream makes them through sushy-oem-idrac).
package idrac

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Config says how long Dell's own calls are waited for.
type Config struct {
	// BootMode is [deploy]default_boot_mode.
	BootMode string
	// Attempts and Interval say how often a call is made while another job keeps the iDRAC from taking it.
	Attempts int
	Interval time.Duration
	// TaskPoll is the pause between two looks at a task, TaskTimeout how long it may take.
	TaskPoll, TaskTimeout time.Duration
	// ResetPause is how long a reset iDRAC is left alone before it is asked whether it is back, ResetTimeout how long it may take.
	ResetPause, ResetTimeout time.Duration
	// ExportTimeout is how long an iDRAC may take to put its settings together.
	ExportTimeout time.Duration
	// RAIDTimeout is how long drives may take to be converted ([drac]raid_job_timeout).
	RAIDTimeout time.Duration
	// ReadyAttempts and ReadyInterval say how often controllers are asked whether they are ready for changes without a restart.
	ReadyAttempts int
	ReadyInterval time.Duration
	// Molds are where configurations are kept; nil where they are neither imported nor exported.
	Molds Molds
}

// DefaultConfig returns what sushy-oem-idrac does.
func DefaultConfig() Config {
	return Config{Attempts: 10, Interval: 15 * time.Second, TaskPoll: time.Second, TaskTimeout: 5 * time.Minute,
		ResetPause: 30 * time.Second, ResetTimeout: 5 * time.Minute, ExportTimeout: 10 * time.Minute,
		RAIDTimeout: 5 * time.Minute, ReadyAttempts: 30, ReadyInterval: 10 * time.Second}
}

// Interfaces returns every interface of the hardware type by its name. media, isos and publisher are those of redfish-virtual-media.
func Interfaces(c *redfish.Client, cfg Config, media redfish.VirtualMediaConfig, isos *bootiso.Builder,
	publisher redfish.Publisher) map[drivers.InterfaceType]map[string]drivers.Interface {
	return map[drivers.InterfaceType]map[string]drivers.Interface{
		drivers.TypeBoot:       {"idrac-redfish-virtual-media": NewVirtualMedia(c, cfg, media, isos, publisher)},
		drivers.TypeManagement: {"idrac-redfish": NewManagement(c, cfg)},
		drivers.TypePower:      {"idrac-redfish": redfish.NewPower(c)},
		drivers.TypeRAID:       {"idrac-redfish": NewRAID(c, cfg)},
	}
}

// onManagers tries a call of Dell's at the managers of a system, until one has done it. Known machines have one.
func onManagers(s *redfish.System, t *drivers.Task, what string, call func(m *schemas.Manager) error) error {
	managers, err := s.Managers()
	if err != nil {
		return err
	}
	if len(managers) == 0 {
		return redfishError("System %s has no managers", cmp.Or(s.UUID, s.ID))
	}
	var failures []string
	for _, m := range managers {
		err := call(m)
		if err == nil || s.GivenUp() {
			return err
		}
		failures = append(failures, fmt.Sprintf("'Manager %s: %s'", cmp.Or(m.UUID, m.ID), s.Explain(err)))
	}
	return redfishError("In system %s for node %s all managers failed: %s. Errors: [%s]", cmp.Or(s.UUID, s.ID), t.Node.UUID, what,
		strings.Join(failures, ", "))
}

// redfishError is ironic's RedfishError.
func redfishError(format string, args ...any) error {
	return store.Errorf(store.RedfishError, "Redfish exception occurred. Error: %s", fmt.Sprintf(format, args...))
}

// service is the path of one of Dell's services, which a resource links to.
func service(resource []byte, at, name string) (string, error) {
	var raw struct {
		Links struct {
			Oem struct{ Dell map[string]json.RawMessage }
		}
	}
	if err := json.Unmarshal(resource, &raw); err != nil {
		return "", fmt.Errorf("reading Dell's services: %w", err)
	}
	var link schemas.Link
	if err := json.Unmarshal(raw.Links.Oem.Dell[name], &link); err != nil || link == "" {
		return "", fmt.Errorf("the attribute Links/Oem/Dell/%s is missing from the resource %s", name, at)
	}
	return link.String(), nil
}

// action is the target of an action in a map of actions. Older iDRACs write a version before its name.
func action(actions map[string]json.RawMessage, name string) string {
	for key, raw := range actions {
		var one struct {
			Target string `json:"target"`
		}
		if strings.HasSuffix(key, "#"+name) && json.Unmarshal(raw, &one) == nil {
			return one.Target
		}
	}
	return ""
}

// serviceAction is the target of an action of one of a manager's services.
func serviceAction(s *redfish.System, m *schemas.Manager, serviceName, name string) (string, error) {
	path, err := service(m.RawData, m.ODataID, serviceName)
	if err != nil {
		return "", err
	}
	return actionOf(s, path, name)
}

// actionOf is the target of an action of a service.
func actionOf(s *redfish.System, path, name string) (string, error) {
	var raw struct{ Actions map[string]json.RawMessage }
	if err := s.Read(path, &raw); err != nil {
		return "", err
	}
	target := action(raw.Actions, name)
	if target == "" {
		return "", fmt.Errorf("the action #%s is missing from the resource %s", name, path)
	}
	return target, nil
}
