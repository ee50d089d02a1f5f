package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	imageURL  = "file:///images/disk.qcow2"
	imageSize = "128M" // of the disk in it, as lab-image makes it
)

// trial is one run.
type trial struct {
	began time.Time
	api   api
	// first, second and third are the names of the machines that are deployed.
	first, second, third string
}

func (t *trial) heading(text string) {
	fmt.Printf("\n%6.1f s  %s\n", time.Since(t.began).Seconds(), text)
}

func (t *trial) say(format string, args ...any) {
	fmt.Printf("%6.1f s    %s\n", time.Since(t.began).Seconds(), fmt.Sprintf(format, args...))
}

func (t *trial) findBase(ctx context.Context) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	output, err := command(ctx, "deploy-examples/lab/debian-image", filepath.Join(cache, "ironmaster-lab", "docker-base"))
	if err == nil {
		t.say("%s", output[strings.LastIndexByte(output, '\n')+1:])
	}
	return err
}

func (t *trial) build(ctx context.Context) error {
	if _, err := compose(ctx, "--profile", "client", "build", "--quiet"); err != nil {
		return err
	}
	output, err := command(ctx, "docker", "images", "--filter", "reference=ironmaster*", "--format", "{{.Repository}} {{.Size}}")
	for line := range strings.Lines(output) {
		t.say("%s", strings.TrimSpace(line))
	}
	return err
}

func (t *trial) up(ctx context.Context) error {
	// What an earlier run left behind when it was cut short.
	if _, err := compose(ctx, "--profile", "client", "down", "--volumes", "--timeout", "5"); err != nil {
		return err
	}
	if _, err := compose(ctx, "up", "--detach"); err != nil {
		return err
	}
	workers, err := allReady(ctx)
	if err == nil && len(workers) != 2 {
		err = fmt.Errorf("there are %d workers, not 2", len(workers))
	}
	for _, w := range workers {
		t.say("%s is conductor %s", w.Name, w.host())
	}
	return err
}

// confined: what docs/docker.md promises of Ironmaster's container.
func (t *trial) confined(ctx context.Context) error {
	for _, probe := range []struct{ what, script, want string }{
		{"user", "id -u", "10001"},
		{"capabilities", "grep CapBnd /proc/self/status", "CapBnd:\t0000000000000000"},
		{"no new privileges", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"},
		{"root file system", "touch /usr/x 2>&1; true", "touch: cannot touch '/usr/x': Read-only file system"},
	} {
		got, err := compose(ctx, "exec", "--no-TTY", "ironmaster", "sh", "-c", probe.script)
		if err != nil {
			return err
		}
		if got != probe.want {
			return fmt.Errorf("%s: %q, want %q", probe.what, got, probe.want)
		}
	}
	t.say("not root, no capabilities, no new privileges, read-only root file system")
	return nil
}

func (t *trial) enrol(ctx context.Context) error {
	output, err := compose(ctx, "run", "--rm", "--no-TTY", "client", "enrol")
	if err != nil {
		return err
	}
	t.say("%s", output[strings.LastIndexByte(output, '\n')+1:])
	nodes, err := t.api.nodes(ctx)
	if err != nil {
		return err
	}
	perWorker := map[string]int{}
	for _, n := range nodes {
		perWorker[n.Conductor]++
	}
	t.say("machines of each worker: %v", perWorker)
	t.first, t.second = nodes[0].Name, nodes[1].Name
	for _, name := range []string{t.first, t.second} {
		if err := t.prepare(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// prepare brings a node from enroll to available, through automated cleaning.
func (t *trial) prepare(ctx context.Context, name string) error {
	for _, change := range []struct{ verb, state string }{{"manage", "manageable"}, {"provide", "available"}} {
		if err := t.api.provision(ctx, name, change.verb); err != nil {
			return err
		}
		if err := t.api.state(ctx, name, change.state); err != nil {
			return err
		}
	}
	t.say("%s is available", name)
	return t.api.order(ctx, name, imageURL)
}

func (t *trial) deployFirst(ctx context.Context) error {
	if err := t.api.provision(ctx, t.first, "active"); err != nil {
		return err
	}
	return t.active(ctx, t.first)
}

func (t *trial) active(ctx context.Context, name string) error {
	err := t.api.state(ctx, name, "active")
	if err == nil {
		t.say("%s is active", name)
	}
	return err
}

// deployUntilWriting begins a deployment and returns while the machine reads its image.
func (t *trial) deployUntilWriting(ctx context.Context, name string) error {
	if err := t.api.provision(ctx, name, "active"); err != nil {
		return err
	}
	err := t.api.await(ctx, name, "writing its image", func(n node) bool {
		return n.ProvisionState == "wait call-back" && n.DeployStep["step"] == "write_image"
	})
	if err == nil {
		t.say("%s is writing its image", name)
	}
	return err
}

func (t *trial) scaleUp(ctx context.Context) error {
	if err := t.deployUntilWriting(ctx, t.second); err != nil {
		return err
	}
	return t.watched(ctx, func(ctx context.Context) error {
		workers, err := t.scale(ctx, 3)
		if err != nil {
			return err
		}
		newest := workers[len(workers)-1].host()
		if err := t.active(ctx, t.second); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		for t.third == "" {
			nodes, err := t.api.nodes(ctx)
			if err != nil {
				return err
			}
			for _, n := range nodes {
				if n.Conductor == newest && n.ProvisionState == "enroll" {
					t.third = n.Name
				}
			}
			if err := pause(ctx, time.Second); err != nil {
				return fmt.Errorf("no machine fell to the new worker: %w", err)
			}
		}
		t.say("%s has fallen to the new worker", t.third)
		return nil
	})
}

func (t *trial) scaleDown(ctx context.Context) error {
	workers, err := containers(ctx, "ironmaster")
	if err != nil {
		return err
	}
	leaving := workers[len(workers)-1]
	if err := t.prepare(ctx, t.third); err != nil {
		return err
	}
	if err := t.deployUntilWriting(ctx, t.third); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- exitsWell(ctx, leaving.Name) }()
	return t.watched(ctx, func(ctx context.Context) error {
		if _, err := t.scale(ctx, 2); err != nil {
			return err
		}
		if err := <-ended; err != nil {
			return err
		}
		t.say("%s ended in order", leaving.Name)
		return t.active(ctx, t.third)
	})
}

// exitsWell waits until a container ends.
func exitsWell(ctx context.Context, name string) error {
	status, err := command(ctx, "docker", "wait", name)
	if err == nil && status != "0" {
		err = fmt.Errorf("%s ended with status %s", name, status)
	}
	return err
}

func (t *trial) scale(ctx context.Context, number int) ([]container, error) {
	if _, err := compose(ctx, "up", "--detach", "--no-recreate", "--scale", fmt.Sprintf("ironmaster=%d", number)); err != nil {
		return nil, err
	}
	workers, err := allReady(ctx)
	if err == nil && len(workers) != number {
		err = fmt.Errorf("there are %d workers, not %d", len(workers), number)
	}
	if err == nil {
		t.say("%d workers are at work", number)
	}
	return workers, err
}

// watched does something while all nodes are asked after in turn. No call may fail: each goes to the worker that the
// API's hash ring names, which is the old one for a while.
func (t *trial) watched(ctx context.Context, do func(context.Context) error) error {
	nodes, err := t.api.nodes(ctx)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	doing, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	calls := 0
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for pause(watching, 200*time.Millisecond) == nil {
			err := t.api.validate(ctx, nodes[calls%len(nodes)].Name)
			if err != nil {
				giveUp(fmt.Errorf("a call failed meanwhile: %w", err))
				return
			}
			calls++
		}
	}()
	err = do(doing)
	stop()
	<-watched
	if cause := context.Cause(doing); cause != nil {
		return cause
	}
	if err == nil {
		t.say("%d calls to the workers meanwhile, none failed", calls)
	}
	return err
}

func (t *trial) compare(ctx context.Context) error {
	want, err := compose(ctx, "exec", "--no-TTY", "ironmaster", "cat", "/images/disk.raw.sha256")
	if err != nil {
		return err
	}
	for _, name := range []string{t.first, t.second, t.third} {
		got, err := compose(ctx, "exec", "--no-TTY", "room", "sh", "-c",
			"head -c "+imageSize+" /room/disks/"+name+".raw | sha256sum | cut -d ' ' -f 1")
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("the disk of %s has the SHA-256 %s, the image %s", name, got, want)
		}
		t.say("%s %s", name, got)
	}
	return nil
}

func (t *trial) readEvents(ctx context.Context) error {
	followers, err := containers(ctx, "events")
	if err != nil || len(followers) != 1 {
		return fmt.Errorf("there are %d event followers: %w", len(followers), err)
	}
	seen, err := command(ctx, "docker", "logs", followers[0].Name)
	if err != nil {
		return err
	}
	for _, name := range []string{t.first, t.second, t.third} {
		last := ""
		for line := range strings.Lines(seen) {
			if strings.Contains(line, name) && strings.Contains(line, "-> active (done)") {
				last = strings.TrimSpace(line)
			}
		}
		if last == "" {
			return fmt.Errorf("the follower did not see %s become active; it saw\n%s", name, tail(seen))
		}
		t.say("%s", last)
	}
	return nil
}

func (t *trial) down(ctx context.Context) error {
	if _, err := compose(ctx, "--profile", "client", "down", "--volumes"); err != nil {
		return err
	}
	left, err := command(ctx, "docker", "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project="+project)
	if err == nil && left != "" {
		err = errors.New("containers are left: " + left)
	}
	return err
}

// showLogs prints what the services said last, for whoever looks into a failure.
func (t *trial) showLogs() {
	logs, err := compose(context.Background(), "logs", "--tail", "40", "ironmaster", "ironic-api", "room", "events")
	if err != nil {
		logs = err.Error()
	}
	fmt.Printf("\nThe last of the logs:\n%s\n", logs)
}
