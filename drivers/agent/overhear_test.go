package agent

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

func TestCommandsAreOverheardWithoutSecrets(t *testing.T) {
	status := http.StatusOK
	var answer any = cmd("sync", "SUCCEEDED")
	a := newAgent(t, func(r *http.Request, _ store.Dict) (int, any) {
		if r.Method == http.MethodGet && answer != nil {
			return http.StatusOK, commandList(cmd("prepare_image", "SUCCEEDED"), cmd("execute_deploy_step", "RUNNING"))
		}
		return status, answer
	})
	var heard []string
	ctx := drivers.Overheard(t.Context(), func(e drivers.Exchange) {
		heard = append(heard, fmt.Sprintf("%s: %s: %s %v", e.With, e.Asked, e.Answer, e.Err))
	})
	c, n := client{quick()}, a.node(t)
	r := request{method: "standby.sync", params: store.Dict{"configdrive": "dr1ve"}}
	if _, err := c.do(ctx, n, r); err != nil {
		t.Fatal(err)
	}
	if _, err := c.list(ctx, n); err != nil {
		t.Fatal(err)
	}
	status, answer = http.StatusConflict, store.Dict{"faultstring": "agent is busy"}
	_, _ = c.do(ctx, n, r)
	answer = nil
	_, _ = c.do(ctx, n, r)
	text := strings.Join(heard, "\n")
	for _, want := range []string{"agent: command sync: SUCCEEDED <nil>", "agent: list of commands: execute_deploy_step RUNNING <nil>",
		"agent: command sync:  HTTP 409 agent is busy", "agent: command sync:  EOF"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q was not heard in\n%s", want, text)
		}
	}
	if strings.Contains(text, token) || strings.Contains(text, "dr1ve") {
		t.Errorf("a secret was heard in\n%s", text)
	}
}
