package room

import (
	"encoding/json"
	"net/http"
)

// agentError is an error as ironic-python-agent's API shows it: in command_error with all fields, in an HTTP answer as
// a faultstring (ironic_python_agent.errors and api.app).
type agentError struct {
	Type    string `json:"type"`
	Code    int    `json:"code"`
	Message string `json:"message"`
	Details string `json:"details"`
}

func (e *agentError) Error() string { return e.Message + ": " + e.Details }

func newAgentError(kind string, code int, message, details string) *agentError {
	return &agentError{Type: kind, Code: code, Message: message, Details: details}
}

func agentNotFound(kind, id string) *agentError {
	return newAgentError("RequestedObjectNotFoundError", http.StatusNotFound, "Not found", kind+" with id "+id+" not found.")
}

func agentInvalidCommand(details string) *agentError {
	return newAgentError("InvalidCommandError", http.StatusBadRequest, "Invalid command", details)
}

func agentInvalidParams(details string) *agentError {
	return newAgentError("InvalidCommandParamsError", http.StatusBadRequest, "Invalid command parameters", details)
}

func agentBusy(command string) *agentError {
	return newAgentError("AgentIsBusy", http.StatusConflict, "Agent is busy", "executing command "+command)
}

func commandFailed(details string) *agentError {
	return newAgentError("CommandExecutionError", http.StatusInternalServerError, "Command execution failed", details)
}

// sendFault answers a request with an error.
func sendFault(w http.ResponseWriter, status int, text string) {
	code := "Client"
	if status >= http.StatusInternalServerError {
		code = "Server"
	}
	body, err := json.Marshal(map[string]string{"faultcode": code, "faultstring": text})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	sendJSON(w, status, body)
}
