package replay

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// agentScript is what the deploy agent did before the conductor asks it.
type agentScript struct {
	// Last is the command that ended before the heartbeat, if any.
	Last *struct {
		Name, Status string
		// Step is the step that it executed; Error says what went wrong.
		Step  map[string]any
		Error string
	}
	// Commands names a recorded list of commands, of which From to To should be sent in this case.
	Commands struct {
		File     string
		From, To int
	}
}

// command is one that the conductor sent to the agent.
type command struct {
	Path string `json:"path"`
	Body struct {
		Name   string         `json:"name"`
		Params map[string]any `json:"params"`
	} `json:"body"`
}

// agent answers as the one in the recordings did: long commands run until the next heartbeat, short ones succeed at once.
type agent struct {
	server *httptest.Server
	url    string

	mu      sync.Mutex
	results []map[string]any
	sent    []command
}

func startAgent() *agent {
	a := &agent{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/commands/", func(w http.ResponseWriter, _ *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		answer(w, map[string]any{"commands": a.results})
	})
	mux.HandleFunc("POST /v1/commands/", func(w http.ResponseWriter, r *http.Request) {
		sent := command{Path: r.URL.Path + "?wait=" + r.URL.Query().Get("wait")}
		decoder := json.NewDecoder(r.Body)
		decoder.UseNumber()
		if err := decoder.Decode(&sent.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, a.execute(sent))
	})
	a.server = httptest.NewServer(mux)
	a.url = a.server.URL
	return a
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // The conductor sees a connection cut short.
}

func (a *agent) reset(s agentScript) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.results, a.sent = []map[string]any{}, nil
	if s.Last == nil {
		return
	}
	last := commandOutcome(s.Last.Name, map[string]any{"step": s.Last.Step}, s.Last.Status, nil)
	kind, _, _ := strings.Cut(s.Last.Name, ".")
	if s.Last.Error == "" {
		last["command_result"] = map[string]any{kind + "_step": s.Last.Step, kind + "_result": nil}
	} else {
		last["command_error"] = map[string]any{
			"type": "CommandExecutionError", "code": 500, "message": "Command execution failed", "details": s.Last.Error,
		}
	}
	a.results = append(a.results, last)
}

func commandOutcome(name string, params map[string]any, status string, result any) map[string]any {
	_, short, _ := strings.Cut("."+name, ".")
	if cut := strings.LastIndexByte(short, '.'); cut >= 0 {
		short = short[cut+1:]
	}
	return map[string]any{
		"id": "11111111-1111-1111-1111-111111111111", "command_name": short, "command_params": params,
		"command_status": status, "command_result": result, "command_error": nil,
	}
}

var manager = map[string]any{"generic_hardware_manager": "1.1"}

func (a *agent) execute(sent command) map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = append(a.sent, sent)
	status, result := "SUCCEEDED", any(map[string]any{})
	step := func(name, kind string, priority int, more map[string]any) map[string]any {
		s := map[string]any{"step": name, "priority": priority, "interface": kind, "reboot_requested": false}
		for key, value := range more {
			s[key] = value
		}
		return s
	}
	switch sent.Body.Name {
	case "clean.get_clean_steps":
		more := map[string]any{"abortable": true, "requires_ramdisk": true}
		result = map[string]any{"hardware_manager_version": manager, "clean_steps": map[string]any{"GenericHardwareManager": []any{
			step("erase_devices", "deploy", 10, more), step("erase_devices_metadata", "deploy", 99, more),
			step("burnin_cpu", "deploy", 0, more), step("delete_configuration", "raid", 0, more),
			step("create_configuration", "raid", 0, more),
		}}}
	case "deploy.get_deploy_steps":
		arguments := map[string]any{"raid_config": map[string]any{"description": "The RAID configuration to apply.", "required": true}}
		result = map[string]any{"hardware_manager_version": manager, "deploy_steps": map[string]any{"GenericHardwareManager": []any{
			step("apply_configuration", "raid", 0, map[string]any{"argsinfo": arguments}), step("inject_files", "deploy", 0, nil),
		}}}
	case "service.get_service_steps":
		result = map[string]any{"hardware_manager_version": manager, "service_steps": map[string]any{"GenericHardwareManager": []any{
			step("erase_devices", "deploy", 0, map[string]any{"abortable": true, "requires_ramdisk": true}),
		}}}
	case "clean.execute_clean_step", "deploy.execute_deploy_step", "service.execute_service_step":
		status, result = "RUNNING", nil
	case "standby.get_partition_uuids":
		result = map[string]any{"root uuid": "11111111-2222-3333-4444-555555555555"}
	}
	done := commandOutcome(sent.Body.Name, sent.Body.Params, status, result)
	a.results = append(a.results, done)
	return done
}

// commands returns what was sent, without what only repeats the node, which other comparisons see.
func (a *agent) commands() []any {
	a.mu.Lock()
	defer a.mu.Unlock()
	return shortCommands(a.sent)
}

func shortCommands(sent []command) []any {
	var all []any
	for _, c := range sent {
		params := map[string]any{}
		for key, value := range c.Body.Params {
			if key != "node" && key != "ports" {
				params[key] = value
			}
		}
		_, wait, _ := strings.Cut(c.Path, "wait=")
		wait, _, _ = strings.Cut(wait, "&")
		all = append(all, map[string]any{"name": c.Body.Name, "wait": wait, "params": plain("", params)})
	}
	return all
}
