package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// maxAnswer bounds an agent's answer in bytes. The largest ones are its logs, an archive in base64.
const maxAnswer = 64 << 20

// client speaks the agent's REST API (reference/deploy.md §4.1). It keeps no connections: agents come and go, and each
// has a certificate of its own.
type client struct{ cfg Config }

// request is one command to be sent.
type request struct {
	method string
	params store.Dict
	// wait makes the agent answer when the command has ended.
	wait bool
	// step is set for execute_*_step, which must not be sent twice without knowing what became of the first.
	step store.Dict
}

// errUnsure wraps the connection failure of a command that the agent may have taken.
var errUnsure = errors.New("the agent may have taken the command")

// do sends a command. An agent that cannot be reached is asked what it is doing, because it may have taken the command and
// failed to say so; only when it certainly did not is the command sent again.
func (c client) do(ctx context.Context, n *store.Node, r request) (command, error) {
	var err error
	for range max(1, c.cfg.CommandAttempts) {
		var answer command
		answer, err = c.try(ctx, n, r)
		if err == nil || store.KindOf(err) != store.AgentConnectionFailed || errors.Is(err, errUnsure) || ctx.Err() != nil {
			return answer, err
		}
	}
	return command{}, err
}

func (c client) try(ctx context.Context, n *store.Node, r request) (command, error) {
	body, err := json.Marshal(map[string]any{"name": r.method, "params": r.params})
	if err != nil {
		return command{}, fmt.Errorf("encoding the agent command %s: %w", r.method, err)
	}
	query := url.Values{"wait": {strconv.FormatBool(r.wait)}}
	addToken(query, n)
	var answer command
	began := time.Now()
	status, err := c.exchange(ctx, n, http.MethodPost, query, body, &answer)
	overhear(ctx, "command "+shortName(r.method), answer.Status, answer.Fault, began, status, err)
	if isConnection(err) {
		return c.readBack(ctx, n, r, err)
	}
	if err != nil {
		return command{}, err
	}
	if status >= http.StatusBadRequest {
		return command{}, refusal(n, r.method, status, answer.Fault)
	}
	return answer, programFailure(n, answer)
}

// readBack finds out what became of a command whose answer was lost.
func (c client) readBack(ctx context.Context, n *store.Node, r request, cause error) (command, error) {
	lost := store.Errorf(store.AgentConnectionFailed, "Connection to agent failed: Failed to connect to the agent running on "+
		"node %s for invoking command %s. Error: %w", n.UUID, r.method, cause)
	commands, err := c.list(ctx, n)
	if err != nil {
		if r.step != nil && !neverConnected(cause) {
			return command{}, fmt.Errorf("%w: %w", lost, errUnsure)
		}
		return command{}, lost
	}
	if len(commands) == 0 {
		return command{}, lost
	}
	newest := commands[len(commands)-1]
	if newest.Name == shortName(r.method) && (newest.Status == statusRunning || r.step != nil && endedStep(newest, r.step)) {
		return newest, nil
	}
	return command{}, lost
}

// endedStep reports whether a command that no longer runs is the one for step. A failed one names no step.
func endedStep(c command, step store.Dict) bool {
	kind := strings.TrimSuffix(strings.TrimPrefix(c.Name, "execute_"), "_step")
	return c.Status != statusSucceeded || sameStep(c.result().Dict(kind+"_step"), step)
}

// poll sends a command and asks after it until it has ended. It gives up after WaitAttempts with AgentCommandTimeout.
func (c client) poll(ctx context.Context, n *store.Node, r request) (command, error) {
	if _, err := c.do(ctx, n, r); err != nil {
		return command{}, err
	}
	for attempt := range max(1, c.cfg.WaitAttempts) {
		if attempt > 0 {
			if err := drivers.Pause(ctx, c.cfg.WaitInterval); err != nil {
				return command{}, err
			}
		}
		commands, err := c.listRetrying(ctx, n)
		if err != nil {
			return command{}, err
		}
		if newest, ok := last(commands, shortName(r.method)); ok && newest.Status != statusRunning {
			return newest, programFailure(n, newest)
		}
	}
	return command{}, store.Errorf(store.AgentCommandTimeout, "Timeout executing command %s on node %s", r.method, n.UUID)
}

// listRetrying is list with as many attempts as a command has.
func (c client) listRetrying(ctx context.Context, n *store.Node) (commands []command, err error) {
	for range max(1, c.cfg.CommandAttempts) {
		commands, err = c.list(ctx, n)
		if err == nil || store.KindOf(err) != store.AgentConnectionFailed || ctx.Err() != nil {
			return commands, err
		}
	}
	return nil, err
}

func addToken(query url.Values, n *store.Node) {
	if token := n.DriverInternalInfo.String(drivers.KeyAgentToken); token != "" {
		query.Set("agent_token", token)
	}
}

// commandsAnswer is what an agent answers to who asks for its commands.
type commandsAnswer struct {
	Commands []command `json:"commands"`
	Fault    string    `json:"faultstring"`
}

// list returns the commands that the agent has seen since it started, oldest first.
func (c client) list(ctx context.Context, n *store.Node) ([]command, error) {
	answer, status, err := c.read(ctx, n, c.cfg.TokenOnReads)
	if status == http.StatusUnauthorized && !c.cfg.TokenOnReads {
		answer, status, err = c.read(ctx, n, true)
	}
	if isConnection(err) {
		return nil, store.Errorf(store.AgentConnectionFailed, "Connection to agent failed: Failed to connect to the agent "+
			"running on node %s to collect commands status. Error: %w", n.UUID, err)
	}
	if err != nil {
		return nil, err
	}
	if status >= http.StatusBadRequest {
		return nil, refusal(n, "list of commands", status, answer.Fault)
	}
	return answer.Commands, nil
}

func (c client) read(ctx context.Context, n *store.Node, withToken bool) (answer commandsAnswer, status int, err error) {
	query := url.Values{}
	if withToken {
		addToken(query, n)
	}
	began := time.Now()
	status, err = c.exchange(ctx, n, http.MethodGet, query, nil, &answer)
	newest := "no command yet"
	if count := len(answer.Commands); count > 0 {
		newest = answer.Commands[count-1].Name + " " + answer.Commands[count-1].Status
	}
	overhear(ctx, "list of commands", newest, answer.Fault, began, status, err)
	return answer, status, err
}

// overhear tells whoever listens what an agent was asked and what it answered.
func overhear(ctx context.Context, asked, answer, fault string, began time.Time, status int, err error) {
	heard := drivers.Exchange{With: drivers.WithAgent, Asked: asked, Answer: answer, Took: time.Since(began), Err: err}
	if err == nil && status >= http.StatusBadRequest {
		heard.Err = fmt.Errorf("HTTP %d %s", status, fault)
	}
	drivers.Overhear(ctx, heard)
}

// connectionError is a failure to get any answer. Its text holds no URL, which carries the token.
type connectionError struct{ cause error }

func (e *connectionError) Error() string { return e.cause.Error() }
func (e *connectionError) Unwrap() error { return e.cause }

func isConnection(err error) bool {
	var c *connectionError
	return errors.As(err, &c)
}

// neverConnected reports whether the request cannot have reached the agent.
func neverConnected(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func (c client) exchange(ctx context.Context, n *store.Node, method string, query url.Values, body []byte, into any) (int, error) {
	peer := n.DriverInternalInfo.String("agent_url")
	if peer == "" {
		return 0, store.Errorf(store.AgentConnectionFailed,
			"Agent driver requires agent_url in driver_internal_info")
	}
	transport, err := c.transport(n)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CommandTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(peer, "/")+"/v1/commands/?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return 0, store.Errorf(store.AgentConnectionFailed, "Connection to agent failed: the agent of node %s gave a callback "+
			"URL that is none", n.UUID)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: transport, CheckRedirect: noRedirect}).Do(req)
	if err != nil {
		return 0, &connectionError{withoutURL(err)}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, &connectionError{withoutURL(err)}
	}
	if len(text) > maxAnswer {
		return 0, badAnswer(n, resp.StatusCode, req.URL.Host, "is longer than 64 MiB")
	}
	if err := decodeAnswer(text, into); err != nil {
		return 0, badAnswer(n, resp.StatusCode, req.URL.Host, "is not what an agent answers")
	}
	return resp.StatusCode, nil
}

func decodeAnswer(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return dec.Decode(into)
}

// noRedirect keeps the token from being carried elsewhere.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func apiError(n *store.Node, status any, text string) error {
	return store.Errorf(store.AgentAPIError, "Agent API for node %s returned HTTP status code %v with error: %s",
		n.UUID, status, text)
}

func badAnswer(n *store.Node, status int, peer, what string) error {
	return apiError(n, status, "the answer of "+peer+" "+what)
}

// refusal is what a status of 400 and more means.
func refusal(n *store.Node, method string, status int, fault string) error {
	if status == http.StatusConflict || strings.Contains(strings.ToLower(fault), "agent is busy") {
		return store.Errorf(store.AgentInProgress,
			`Node %s command "%s" failed. Agent is presently executing a command. Error %s`, n.UUID, method, fault)
	}
	return apiError(n, status, fault)
}

func programFailure(n *store.Node, c command) error {
	if !c.programError() {
		return nil
	}
	return apiError(n, store.Dict{"e": c.Error}.Dict("e")["code"], c.failure())
}
