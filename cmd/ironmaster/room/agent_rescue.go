package room

import (
	"context"
	"encoding/json"
	"net/http"
)

// finalizeRescue sets the password of the ramdisk's user. An agent that was told one answers nobody from then on.
func finalizeRescue(_ context.Context, a *agent, p params) (any, error) {
	var password string
	if err := json.Unmarshal(p["rescue_password"], &password); err != nil || password == "" {
		return nil, agentInvalidParams("rescue_password is missing or no text")
	}
	hashed := false
	if text, given := p["hashed"]; given && json.Unmarshal(text, &hashed) != nil {
		return nil, agentInvalidParams("hashed is neither true nor false")
	}
	if !hashed {
		// The room's ramdisk has no chpasswd, as an operator would want it.
		return nil, newAgentError("CommandExecutionError", http.StatusInternalServerError, "Command execution failed",
			"this ramdisk takes hashed passwords only")
	}
	a.m.change(func(s *state) { s.rescuePassword = password })
	return map[string]any{}, nil
}
