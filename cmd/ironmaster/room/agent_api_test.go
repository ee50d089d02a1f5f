package room

import (
	"net/http"
	"strings"
	"testing"
)

func TestAgentAPIErrors(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	release := make(chan struct{})
	ironic.files["slow"] = func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	bootAgent(t, m, ironic.bootISO())
	agent := ironic.agent()
	const commands = "/v1/commands/?agent_token=" + testToken
	sync := `{"name": "standby.sync", "params": {}}`
	for _, test := range []struct {
		method, path, body string
		status             int
		fault              string
	}{
		{"GET", "/v1/commands/", "", 200, ""},
		{"POST", "/v1/commands/", sync, 401, "401 Unauthorized: Token invalid."},
		{"POST", "/v1/commands/?agent_token=wrong", sync, 401, "401 Unauthorized: Token invalid."},
		{"GET", "/v1/commands/?agent_token=" + testToken, "", 200, ""},
		{"GET", "/v1/commands/", "", 401, "401 Unauthorized: Token invalid."},
		{"POST", commands, `{"name": "standby.sync"}`, 400, "400 Bad Request: Missing or invalid name or params"},
		{"POST", commands, `nonsense`, 400, "400 Bad Request: Missing or invalid name or params"},
		{"POST", commands, `{"name": "sync", "params": {}}`, 400, "Invalid command: Command name must be of the form <extension>.<name>"},
		{"POST", commands, `{"name": "coffee.brew", "params": {}}`, 404, "Not found: Extension with id coffee not found."},
		{"POST", commands, `{"name": "standby.brew", "params": {}}`, 400, "Invalid command: Unknown command: brew"},
		{"GET", "/v1/commands/none?agent_token=" + testToken, "", 404, "Not found: Command Result with id none not found."},
		{"GET", "/v2", "", 404, "404 Not Found: The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again."},
		{"POST", commands, sync, 200, ""},
	} {
		var answer struct {
			Fault string `json:"faultstring"`
		}
		if status := agent.do(test.method, test.path, test.body, &answer); status != test.status || answer.Fault != test.fault {
			t.Errorf("%s %s %s: %d %q", test.method, test.path, test.body, status, answer.Fault)
		}
	}
	started, _ := agent.command(false, "deploy.execute_deploy_step", deployStep(map[string]any{"image_info": map[string]any{
		"id": "image", "urls": []string{ironic.URL + "/files/slow"}, "disk_format": "raw", "checksum": strings.Repeat("0", 64)}}))
	busy, status := agent.command(false, "standby.sync", map[string]any{})
	if status != http.StatusConflict || busy.Fault != "Agent is busy: executing command execute_deploy_step" {
		t.Errorf("while busy: %d %+v", status, busy)
	}
	close(release)
	if ended := agent.finished(started.ID); ended.Status != commandFailedNow || ended.Error.Type != "DeploymentError" {
		t.Errorf("an empty image: %+v", ended)
	}
	var list struct {
		Commands []shown `json:"commands"`
	}
	agent.do("GET", commands, "", &list)
	if len(list.Commands) != 2 || list.Commands[1].Name != "execute_deploy_step" {
		t.Errorf("the commands are %+v", list.Commands)
	}
}
