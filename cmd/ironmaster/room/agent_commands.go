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
	"standby": {
		"get_partition_uuids": {run: getPartitionUUIDs},
		"sync":                {run: func(context.Context, *agent, params) (any, error) { return nil, nil }},
		"power_off":           {background: true, run: switchPower(powerOff)},
		"run_image":           {background: true, run: switchPower(powerCycle)},
	},
	"log": {
		"collect_system_logs": {run: collectLogs},
	},
	"system": {
		"lockdown": {background: true, run: lockdown},
	},
}

// execute starts a command and, unless it is one for the background, waits for its end. ctx is the agent's.
func (a *agent) execute(ctx context.Context, name string, p params) (*command, *agentError) {
	extension, short, ok := strings.Cut(name, ".")
	if !ok {
		return nil, agentInvalidCommand("Command name must be of the form <extension>.<name>")
	}
	kinds, ok := commandKinds[extension]
	if !ok {
		return nil, agentNotFound("Extension", extension)
	}
	kind, ok := kinds[short]
	if !ok {
		return nil, agentInvalidCommand("Unknown command: " + short)
	}
	c, failure := a.commands.begin(short, func(c *command) {
		a.running.Go(func() { a.perform(ctx, c, kind, p) })
	})
	if failure == nil && !kind.background {
		<-c.done
	}
	return c, failure
}

// perform carries out a command to its end.
func (a *agent) perform(ctx context.Context, c *command, kind commandKind, p params) {
	if kind.background && a.m.faults.commandFails() {
		a.commands.end(c, nil, commandFailed("the room's seed made this command fail"))
	} else {
		result, err := kind.run(ctx, a, p)
		a.commands.end(c, result, err)
	}
	if kind.background {
		a.heartbeatSoon()
	}
}

// switchPower is power_off and run_image: the operating system tells the power supply.
func switchPower(change powerChange) func(context.Context, *agent, params) (any, error) {
	return func(ctx context.Context, a *agent, _ params) (any, error) {
		return nil, a.m.requestFrom(ctx, change)
	}
}

// lockdown makes the agent unreachable without power off, for nodes whose power is not to be touched.
func lockdown(_ context.Context, a *agent, _ params) (any, error) {
	a.quietOnce.Do(func() { close(a.quiet) })
	return nil, nil
}

// installBootloader has nothing to do for a whole-disk image, which brings its boot loader along.
func installBootloader(context.Context, *agent, params) (any, error) { return nil, nil }

func getPartitionUUIDs(_ context.Context, a *agent, _ params) (any, error) {
	a.mu.Lock()
	wrote := a.wroteAnImage
	a.mu.Unlock()
	if !wrote {
		return map[string]string{}, nil
	}
	id, err := a.m.disk.identifier()
	return map[string]string{"root uuid": id}, err
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
