package graphical

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

const (
	// commandTimeout bounds each program that is run, startTimeout one that may fetch an image first.
	commandTimeout = time.Minute
	startTimeout   = 10 * time.Minute
	// mostOutput bounds what is read of what programs say.
	mostOutput = 1 << 20
)

// command is one run of a program.
type command struct {
	args []string
	// env is added to this process's environment, input is what the program reads. Both may hold secrets.
	env     []string
	input   string
	timeout time.Duration
}

// run returns what the program prints. The text of its error is that of Python's ProcessExecutionError: it has the arguments in
// it, and nothing of environment and input.
func run(ctx context.Context, c command) (string, error) {
	if c.timeout == 0 {
		c.timeout = commandTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.WaitDelay = time.Second
	cmd.Env = append(append(os.Environ(), "LC_ALL=C"), c.env...)
	cmd.Stdin = strings.NewReader(c.input)
	var out, problem clipped
	cmd.Stdout, cmd.Stderr = &out, &problem
	err := cmd.Run()
	if err == nil {
		return out.String(), nil
	}
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("running %s: %w", strings.Join(c.args, " "), ctx.Err())
	case !errors.As(err, &ended):
		return "", fmt.Errorf("running %s: %w", c.args[0], err)
	}
	//lint:ignore ST1005 the text is Python's
	return "", fmt.Errorf("Unexpected error while running command.\nCommand: %s\nExit code: %d\nStdout: %s\nStderr: %s",
		strings.Join(c.args, " "), ended.ExitCode(), store.PythonRepr(out.String()), store.PythonRepr(problem.String()))
}

// clipped keeps the beginning of what is written to it.
type clipped struct{ bytes.Buffer }

func (c *clipped) Write(p []byte) (int, error) {
	if room := mostOutput - c.Len(); room > 0 {
		c.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
