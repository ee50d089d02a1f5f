package agent

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func TestCommandReachesTheAgentOverItsOwnCertificate(t *testing.T) {
	a := newAgent(t, func(*http.Request, store.Dict) (int, any) { return 200, cmd("sync", "SUCCEEDED") })
	answer, err := client{quick()}.do(t.Context(), a.node(t), request{method: "standby.sync", params: store.Dict{}, wait: true})
	if err != nil || answer.Status != "SUCCEEDED" {
		t.Fatalf("%+v, %v", answer, err)
	}
	if a.posts[0].String("name") != "standby.sync" || a.waits[0] != "true" {
		t.Errorf("sent %v, wait %v", a.posts, a.waits)
	}
}

func TestVerification(t *testing.T) {
	a := newAgent(t, func(*http.Request, store.Dict) (int, any) { return 200, cmd("sync", "SUCCEEDED") })
	other := httptest.NewTLSServer(http.NotFoundHandler())
	defer other.Close()
	for name, c := range map[string]struct {
		change func(*store.Node)
		want   store.Kind
	}{
		"own certificate": {func(*store.Node) {}, ""},
		"not verified":    {func(n *store.Node) { n.DriverInternalInfo["agent_verify_ca"] = false }, ""},
		"directory": {func(n *store.Node) {
			n.DriverInternalInfo["agent_verify_ca"] = filepath.Dir(n.DriverInternalInfo.String("agent_verify_ca"))
		}, ""},
		"system certificates": {func(n *store.Node) { n.DriverInternalInfo["agent_verify_ca"] = "True" }, store.AgentConnectionFailed},
		"configured":          {func(n *store.Node) { delete(n.DriverInternalInfo, "agent_verify_ca") }, store.AgentConnectionFailed},
		"node says no": {func(n *store.Node) {
			delete(n.DriverInternalInfo, "agent_verify_ca")
			n.DriverInfo["agent_verify_ca"] = "no"
		}, ""},
		"no such path": {func(n *store.Node) { n.DriverInternalInfo["agent_verify_ca"] = "/no/such/file" }, store.InvalidParameterValue},
	} {
		n := a.node(t)
		c.change(n)
		_, err := client{quick()}.do(t.Context(), n, request{method: "standby.sync", params: store.Dict{}})
		if store.KindOf(err) != c.want || (err == nil) != (c.want == "") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		answer any
		kind   store.Kind
		text   string
	}{
		"error": {500, store.Dict{"faultstring": "boom"}, store.AgentAPIError,
			"Agent API for node n1 returned HTTP status code 500 with error: boom"},
		"conflict": {409, store.Dict{"faultstring": "wait"}, store.AgentInProgress,
			`Node n1 command "standby.sync" failed. Agent is presently executing a command. Error wait`},
		"busy": {400, store.Dict{"faultstring": "Agent is busy"}, store.AgentInProgress,
			`Node n1 command "standby.sync" failed. Agent is presently executing a command. Error Agent is busy`},
		"type error": {200, store.Dict{"command_status": "FAILED", "command_error": store.Dict{"type": "TypeError", "code": 500,
			"details": "unexpected argument"}}, store.AgentAPIError,
			"Agent API for node n1 returned HTTP status code 500 with error: unexpected argument"},
		"not JSON": {200, "<html>", store.AgentAPIError, "is not what an agent answers"},
		"a list":   {200, "[]", store.AgentAPIError, "is not what an agent answers"},
	} {
		a := newAgent(t, func(*http.Request, store.Dict) (int, any) { return c.status, c.answer })
		_, err := client{quick()}.do(t.Context(), a.node(t), request{method: "standby.sync", params: store.Dict{}})
		if store.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %s", name, err, c.text)
		}
		if len(a.posts) != 1 {
			t.Errorf("%s: sent %d times", name, len(a.posts))
		}
	}
}

func TestWrongTokenIsAnAPIError(t *testing.T) {
	a := newAgent(t, nil)
	n := a.node(t)
	n.DriverInternalInfo["agent_secret_token"] = "other"
	_, err := client{quick()}.list(t.Context(), n)
	if store.KindOf(err) != store.AgentAPIError || !strings.Contains(err.Error(), "401") {
		t.Error(err)
	}
}

// An agent that has once seen a token from a reader refuses those that have none, as conductors before 29.0 are.
func TestTokenOfReaders(t *testing.T) {
	for name, c := range map[string]struct {
		always, wanted bool
		want           []string
	}{
		"always sent":            {true, false, []string{token}},
		"not asked for":          {false, false, []string{""}},
		"asked for by the agent": {false, true, []string{"", token}},
	} {
		a := newAgent(t, nil)
		n := a.node(t)
		var got []string
		a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent := r.URL.Query().Get("agent_token")
			if got = append(got, sent); c.wanted && sent == "" {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"faultstring": "Incorrect agent_token"}`)
				return
			}
			_, _ = io.WriteString(w, `{"commands": [{"command_name": "sync"}]}`)
		})
		cfg := quick()
		cfg.TokenOnReads = c.always
		commands, err := client{cfg}.list(t.Context(), n)
		if err != nil || len(commands) != 1 || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, sent the tokens %q, want %q", name, commands, err, got, c.want)
		}
	}
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	a := newAgent(t, nil)
	n := a.node(t)
	a.Close()
	_, err := client{quick()}.do(t.Context(), n, request{method: "standby.sync", params: store.Dict{}})
	if store.KindOf(err) != store.AgentConnectionFailed || strings.Contains(err.Error(), token) {
		t.Errorf("connection refused: %v", err)
	}
	n.DriverInternalInfo["agent_url"] = "https://[bad"
	_, err = client{quick()}.list(t.Context(), n)
	if store.KindOf(err) != store.AgentConnectionFailed || strings.Contains(err.Error(), token) {
		t.Errorf("bad URL: %v", err)
	}
	delete(n.DriverInternalInfo, "agent_url")
	_, err = client{quick()}.list(t.Context(), n)
	want := "Agent driver requires agent_url in driver_internal_info"
	if err == nil || err.Error() != want {
		t.Errorf("no URL: %v", err)
	}
}

// A step whose answer got lost is looked up, and never sent again while it may be running.
func TestLostAnswers(t *testing.T) {
	step := store.Dict{"interface": "deploy", "step": "write_image"}
	succeeded := func(name string) store.Dict {
		c := cmd("execute_deploy_step", "SUCCEEDED")
		c["command_result"] = store.Dict{"deploy_step": store.Dict{"interface": "deploy", "step": name}}
		return c
	}
	for name, c := range map[string]struct {
		list  any
		step  store.Dict
		sent  int
		want  string // status of the answer, "" for AgentConnectionFailed
		posts int    // how many posts get lost
	}{
		"running":             {commandList(cmd("execute_deploy_step", "RUNNING")), step, 1, "RUNNING", 1},
		"over already":        {commandList(succeeded("write_image")), step, 1, "SUCCEEDED", 1},
		"failed already":      {commandList(cmd("execute_deploy_step", "FAILED")), step, 1, "FAILED", 1},
		"never arrived":       {commandList(cmd("get_deploy_steps", "SUCCEEDED")), step, 2, "RUNNING", 1},
		"earlier step":        {commandList(succeeded("other")), step, 2, "RUNNING", 1},
		"nothing seen":        {commandList(), step, 3, "", 9},
		"list lost too":       {nil, step, 1, "", 9},
		"harmless, list lost": {nil, nil, 3, "", 9},
	} {
		a := newAgent(t, nil)
		a.answer = func(r *http.Request, _ store.Dict) (int, any) {
			switch {
			case r.Method == http.MethodGet:
				return 200, c.list
			case len(a.posts) <= c.posts:
				return 0, nil
			}
			return 200, cmd("execute_deploy_step", "RUNNING")
		}
		answer, err := client{quick()}.do(t.Context(), a.node(t), request{method: "deploy.execute_deploy_step",
			params: store.Dict{}, step: c.step})
		if len(a.posts) != c.sent {
			t.Errorf("%s: sent %d times, want %d", name, len(a.posts), c.sent)
		}
		if answer.Status != c.want || (c.want == "") != (store.KindOf(err) == store.AgentConnectionFailed) {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
	}
}

func TestPollWaitsForTheEnd(t *testing.T) {
	a := newAgent(t, nil)
	a.answer = func(r *http.Request, _ store.Dict) (int, any) {
		if r.Method == http.MethodPost {
			return 200, cmd("install_bootloader", "RUNNING")
		}
		if a.gets < 4 {
			return 200, commandList(cmd("install_bootloader", "RUNNING"), cmd("sync", "SUCCEEDED"))
		}
		return 200, commandList(cmd("install_bootloader", "SUCCEEDED"), cmd("sync", "SUCCEEDED"))
	}
	n := a.node(t)
	r := request{method: "image.install_bootloader", params: store.Dict{}}
	answer, err := client{quick()}.poll(t.Context(), n, r)
	if err != nil || answer.Status != "SUCCEEDED" || a.gets != 4 {
		t.Errorf("%+v, %v after %d looks", answer, err, a.gets)
	}
	cfg := quick()
	cfg.WaitAttempts, a.gets = 2, -100
	_, err = client{cfg}.poll(t.Context(), n, r)
	if store.KindOf(err) != store.AgentCommandTimeout ||
		err.Error() != "Timeout executing command image.install_bootloader on node n1" {
		t.Error(err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(`{"commands": [{"command_name": "execute_deploy_step", "command_status": "FAILED", "command_error": {"message": "x"}}]}`)
	f.Add(`{"commands": [{"command_name": "execute_deploy_step", "command_status": "SUCCEEDED", "command_result": {"deploy_step": 7}}]}`)
	f.Add(`{"commands": null, "faultstring": "busy"}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, text string) {
		var answer struct {
			Commands []command `json:"commands"`
		}
		if decodeAnswer([]byte(text), &answer) != nil {
			return
		}
		if len(answer.Commands) > 0 {
			_ = answer.Commands[0].failure()
			_ = answer.Commands[0].programError()
		}
		_, _ = stepStatus(&store.Node{UUID: "u"}, "deploy", answer.Commands, store.Dict{"interface": "deploy", "step": "x"})
	})
}
