package room

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The states of a command.
const (
	commandRunning   = "RUNNING"
	commandSucceeded = "SUCCEEDED"
	commandFailedNow = "FAILED"
	versionMismatch  = "VERSION_MISMATCH"
)

// shownCommand is a command as the API shows it.
type shownCommand struct {
	ID     string      `json:"id"`
	Name   string      `json:"command_name"`
	Status string      `json:"command_status"`
	Error  *agentError `json:"command_error"`
	Result any         `json:"command_result"`
}

// command is one command that the agent was given. The log's lock guards shown.
type command struct {
	shown shownCommand
	// done is closed when the command has ended.
	done chan struct{}
}

// commandLog holds all commands of one boot, in order.
type commandLog struct {
	mu     sync.Mutex
	all    []*command
	closed bool
}

func (l *commandLog) list() []shownCommand {
	l.mu.Lock()
	defer l.mu.Unlock()
	shown := []shownCommand{}
	for _, c := range l.all {
		shown = append(shown, c.shown)
	}
	return shown
}

func (l *commandLog) find(id string) (*command, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		if c.shown.ID == id {
			return c, true
		}
	}
	return nil, false
}

func (l *commandLog) show(c *command) shownCommand {
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.shown
}

// begin adds a command and starts it, unless the last one still runs: an agent does one thing at a time. start runs under
// the lock, so that after close nothing starts any more.
func (l *commandLog) begin(name string, start func(*command)) (*command, *agentError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, commandFailed("the machine goes down")
	}
	if n := len(l.all); n > 0 && l.all[n-1].shown.Status == commandRunning {
		return nil, agentBusy(l.all[n-1].shown.Name)
	}
	c := &command{
		shown: shownCommand{ID: uuid.NewString(), Name: name, Status: commandRunning},
		done:  make(chan struct{}),
	}
	l.all = append(l.all, c)
	start(c)
	return c, nil
}

// end records how a command ended.
func (l *commandLog) end(c *command, result any, err error) {
	if text, ok := result.(string); ok {
		result = map[string]string{"result": text}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	defer close(c.done)
	if err == nil {
		c.shown.Status, c.shown.Result = commandSucceeded, result
		return
	}
	c.shown.Status = commandFailedNow
	if !errors.As(err, &c.shown.Error) {
		c.shown.Error = commandFailed(err.Error())
	}
	if c.shown.Error.Type == "VersionMismatch" {
		c.shown.Status = versionMismatch
	}
}

// close lets no further command begin.
func (l *commandLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// params are the parameters of a command, not decoded yet.
type params = map[string]json.RawMessage

// commandKind is one command that the agent knows.
type commandKind struct {
	// background commands answer at once and tell their end by a heartbeat.
	background bool
	run        func(ctx context.Context, a *agent, p params) (any, error)
	// after is what a command does to the machine once its end is known.
	after func(ctx context.Context, a *agent) error
}

// commandKinds are the extensions of the agent and their commands.
var commandKinds = map[string]map[string]commandKind{
	"deploy": {
		"get_deploy_steps":    {run: getDeploySteps},
		"execute_deploy_step": {background: true, run: executeDeployStep},
	},
	"clean": {
		"get_clean_steps":    {run: getCleanSteps},
		"execute_clean_step": {background: true, run: executeCleanStep},
	},
	"image": {
		"install_bootloader": {background: true, run: installBootloader},
	},
	extensionISCSI: {
		"start_iscsi_target": {run: startISCSITarget},
	},
	"standby": {
		"get_partition_uuids": {run: getPartitionUUIDs},
		"sync":                {run: nothing},
		"power_off":           {background: true, run: nothing, after: switchPower(powerOff)},
		"run_image":           {background: true, run: nothing, after: switchPower(powerCycle)},
	},
	"service": {
		"get_service_steps":    {run: getServiceSteps},
		"execute_service_step": {background: true, run: executeServiceStep},
	},
	"rescue": {
		"finalize_rescue": {run: finalizeRescue, after: lockdown},
	},
	"log": {
		"collect_system_logs": {run: collectLogs},
	},
	"system": {
		"lockdown": {background: true, run: nothing, after: lockdown},
	},
}

// execute starts a command and, unless it is one for the background, waits for its end. It returns the command and how
// it looked at that time. ctx is the agent's.
func (a *agent) execute(ctx context.Context, name string, p params) (*command, shownCommand, *agentError) {
	extension, short, ok := strings.Cut(name, ".")
	if !ok {
		return nil, shownCommand{}, agentInvalidCommand("Command name must be of the form <extension>.<name>")
	}
	kinds, ok := commandKinds[extension]
	if !ok || extension == extensionISCSI && a.m.faults.now().NoISCSI > 0 {
		return nil, shownCommand{}, agentNotFound("Extension", extension)
	}
	kind, ok := kinds[short]
	if !ok {
		return nil, shownCommand{}, agentInvalidCommand("Unknown command: " + short)
	}
	var begun shownCommand
	c, failure := a.commands.begin(short, func(c *command) {
		begun = c.shown
		a.running.Go(func() { a.perform(ctx, c, kind, p) })
	})
	if failure != nil || kind.background {
		return c, begun, failure
	}
	<-c.done
	return c, a.commands.show(c), nil
}

// perform carries out a command to its end.
func (a *agent) perform(ctx context.Context, c *command, kind commandKind, p params) {
	if kind.background && a.m.faults.commandFails() {
		a.commands.end(c, nil, commandFailed("the room's seed made this command fail"))
		a.heartbeatSoon()
		return
	}
	result, err := kind.run(ctx, a, p)
	a.commands.end(c, result, err)
	if kind.background {
		a.heartbeatSoon()
	}
	if kind.after == nil || err != nil {
		return
	}
	if err := kind.after(ctx, a); err != nil && ctx.Err() == nil {
		a.log.Warn().Err(err).Str("command", c.shown.Name).Msg("carrying out a command")
	}
}

func nothing(context.Context, *agent, params) (any, error) { return nil, nil }

// lastAnswers is how long a machine that goes down waits for clients to read their answers.
const lastAnswers = 5 * time.Second

// switchPower is power_off and run_image: the operating system ends the agent's API and tells the power supply.
func switchPower(change powerChange) func(context.Context, *agent) error {
	return func(ctx context.Context, a *agent) error {
		waiting, cancel := context.WithTimeout(ctx, lastAnswers)
		defer cancel()
		return errors.Join(a.server.retire(waiting), a.m.requestFrom(ctx, change))
	}
}

// lockdown makes the agent unreachable without power off, for nodes whose power is not to be touched.
func lockdown(_ context.Context, a *agent) error {
	a.quietOnce.Do(func() { close(a.quiet) })
	return nil
}

// collectLogs makes a tar.gz in base64, as the conductor stores it.
func collectLogs(_ context.Context, a *agent, _ params) (any, error) {
	var archive bytes.Buffer
	packed := gzip.NewWriter(&archive)
	files := tar.NewWriter(packed)
	var text bytes.Buffer
	for _, c := range a.commands.list() {
		fmt.Fprintf(&text, "%s %s\n", c.Name, c.Status)
	}
	header := &tar.Header{Name: "agent.log", Mode: 0o600, Size: int64(text.Len())}
	err := files.WriteHeader(header)
	if err == nil {
		_, err = files.Write(text.Bytes())
	}
	if err := errors.Join(err, files.Close(), packed.Close()); err != nil {
		return nil, err
	}
	return map[string]string{"system_logs": base64.StdEncoding.EncodeToString(archive.Bytes())}, nil
}
