package agent

import (
	"context"
	"errors"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Call has the agent carry out a command of one of its extensions, such as iscsi.start_iscsi_target, and returns its result
// when it has ended. The error of one that fails has the agent's own words.
func (d *Deploy) Call(ctx context.Context, t *drivers.Task, method string, params store.Dict) (store.Dict, error) {
	answer, err := d.client.do(ctx, t.Node, request{method: method, params: params, wait: true})
	if err != nil {
		return nil, err
	}
	if answer.Status != statusSucceeded {
		return nil, errors.New(d.withoutSecrets(ctx, t, answer.failure()))
	}
	return answer.result(), nil
}

// Called tells whether the agent that runs now was ever told a command. One that cannot be reached is AgentConnectionFailed.
func (d *Deploy) Called(ctx context.Context, t *drivers.Task, method string) (bool, error) {
	commands, err := d.client.listRetrying(ctx, t.Node)
	return slices.ContainsFunc(commands, func(c command) bool { return c.Name == shortName(method) }), err
}
