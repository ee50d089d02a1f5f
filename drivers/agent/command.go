package agent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// The states of a command, as agents report them.
const (
	statusRunning   = "RUNNING"
	statusSucceeded = "SUCCEEDED"
	statusFailed    = "FAILED"
)

// command is one command as an agent reports it. Name is without the extension: execute_deploy_step.
type command struct {
	Name   string `json:"command_name"`
	Status string `json:"command_status"`
	// Error is an object with type, code, message and details, or a text.
	Error any `json:"command_error"`
	// Result is an object for most commands, a text for some.
	Result any `json:"command_result"`
	// Fault is what the agent answers instead of all others when it refuses a command.
	Fault string `json:"faultstring"`
}

// result returns the result as an object, nil when it is none.
func (c command) result() store.Dict { return store.Dict{"r": c.Result}.Dict("r") }

// failure returns the agent's text of what went wrong.
func (c command) failure() string {
	switch e := c.Error.(type) {
	case nil:
		return "Invalid agent response"
	case string:
		return e
	case map[string]any:
		d := store.Dict(e)
		for _, key := range []string{"details", "message"} {
			if text := d.String(key); text != "" {
				return text
			}
		}
	}
	return fmt.Sprint(c.Error)
}

// programError reports whether the agent stumbled over the arguments themselves, as an older one does over new ones.
func (c command) programError() bool {
	return store.Dict{"e": c.Error}.Dict("e").String("type") == "TypeError"
}

// last returns the newest command of a name.
func last(commands []command, name string) (command, bool) {
	for _, c := range slices.Backward(commands) {
		if c.Name == name {
			return c, true
		}
	}
	return command{}, false
}

// shortName is the name under which an agent lists a command: without its extension.
func shortName(method string) string {
	_, name, found := strings.Cut(method, ".")
	if !found {
		return method
	}
	return name
}

// sameStep compares steps as ironic does: by interface and name.
func sameStep(a, b store.Dict) bool {
	return a != nil && a.String("interface") == b.String("interface") && a.String("step") == b.String("step")
}
