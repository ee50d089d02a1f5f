package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// project is not the one that a user's docker compose up has: it is taken down with its volumes.
const project = "ironmaster-test"

// environment makes the room larger than it is for users, so that some machine falls to each worker whatever the ring
// looks like, and its network so slow that an image is on its way for longer than a worker takes to leave the ring.
var environment = append(os.Environ(), "COMPOSE_PROJECT_NAME="+project, "ROOM_MACHINES=20", "ROOM_DOWNLOAD_RATE=4M")

// command runs a program to its end and returns what it printed.
func command(ctx context.Context, words ...string) (string, error) {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = environment
	var output, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &problems
	// An interrupted docker tells the engine.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(words, " "), err, tail(output.String()), tail(problems.String()))
	}
	return strings.TrimSpace(output.String()), nil
}

// tail keeps an error readable.
func tail(text string) string { return text[max(0, len(text)-4000):] }

func compose(ctx context.Context, words ...string) (string, error) {
	return command(ctx, append([]string{"docker", "compose"}, words...)...)
}

// container is a line of docker compose ps.
type container struct {
	ID       string
	Name     string
	Service  string
	State    string
	Health   string
	ExitCode int
}

// host is the name that a container gives itself, and so its conductor.
func (c container) host() string { return c.ID[:min(12, len(c.ID))] }

// ready tells whether a service does its work, or has done it.
func (c container) ready() bool {
	if c.Service == "dbsync" {
		return c.State == "exited" && c.ExitCode == 0
	}
	return c.State == "running" && (c.Health == "healthy" || c.Health == "")
}

// containers lists those of the project, or of one of its services.
func containers(ctx context.Context, service ...string) ([]container, error) {
	output, err := compose(ctx, append([]string{"ps", "--all", "--format", "json"}, service...)...)
	if err != nil {
		return nil, err
	}
	var all []container
	for lines := json.NewDecoder(strings.NewReader(output)); ; {
		var one container
		err := lines.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading what docker compose ps prints: %w", err)
		}
		all = append(all, one)
	}
}

// allReady waits until every container is ready and returns the workers.
func allReady(ctx context.Context) (workers []container, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		all, err := containers(ctx)
		if err != nil {
			return nil, err
		}
		workers = nil
		var missing []string
		for _, c := range all {
			if c.Service == "ironmaster" {
				workers = append(workers, c)
			}
			if !c.ready() {
				missing = append(missing, fmt.Sprintf("%s is %s %s", c.Name, c.State, c.Health))
			}
		}
		if len(missing) == 0 {
			return workers, nil
		}
		if pause(ctx, time.Second) != nil {
			return nil, fmt.Errorf("not all became ready: %s", strings.Join(missing, ", "))
		}
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
