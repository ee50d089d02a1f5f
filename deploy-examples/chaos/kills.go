package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// mode is what follows a kill.
type mode string

const (
	// comesBack starts the only worker again at once.
	comesBack mode = "same worker"
	// staysAway leaves it to a second worker to go on, and starts the killed one again after that.
	staysAway mode = "takeover"
)

// takeoverShare is the part of all kills after which the killed worker stays away.
const takeoverShare = 0.15

// kills is the command of that name.
func kills(ctx context.Context, args []string) error {
	f := newFlags("kills", 50)
	count := f.Int("kills", 200, "how often Ironmaster is killed")
	rounds := f.Int("python-kills", 1, "how often Python's conductor is killed in each mode: once in a round of deployments")
	only := f.String("only", "", "python or ironmaster; both when empty")
	if err := f.Parse(args); err != nil {
		return err
	}
	ours, err := f.prepare()
	if err != nil {
		return err
	}
	takeovers := int(float64(*count) * takeoverShare)
	debian := program{name: python, path: "/usr/bin/ironic-conductor"}
	trials := []*trial{
		{program: debian, mode: comesBack, kills: *rounds, once: true},
		{program: debian, mode: staysAway, kills: *rounds, once: true},
		{program: ours, mode: comesBack, kills: *count - takeovers},
		{program: ours, mode: staysAway, kills: takeovers},
	}
	d := &diary{out: os.Stdout, began: time.Now()}
	results := map[string]*figures{}
	for _, t := range trials {
		if *only != "" && *only != t.program.name || t.kills == 0 {
			continue
		}
		if results[t.program.name] == nil {
			results[t.program.name] = &figures{reasons: reasons{}}
		}
		t.diary, t.figures, t.machines, t.seed = d, results[t.program.name], f.machines, f.seed
		t.dir = filepath.Join(f.dir, t.program.name+"-"+strings.ReplaceAll(string(t.mode), " ", "-"))
		t.dice = rand.New(rand.NewPCG(f.seed, uint64(len(t.mode))))
		if err := t.run(ctx); err != nil {
			err = fmt.Errorf("%s, %s: %w", t.program.name, t.mode, err)
			report(os.Stdout, f.seed, results)
			return err
		}
	}
	return report(os.Stdout, f.seed, results)
}

// trial kills one program in one mode.
type trial struct {
	*diary
	*figures
	program program
	mode    mode
	// kills is how many there are to be, once that there is only one in each round of deployments.
	kills    int
	once     bool
	machines int
	seed     uint64
	dir      string
	dice     *rand.Rand

	site  *site
	sites int
	nodes []string
	done  int // kills so far
	round int
}

// run deploys all machines round after round, until there were enough kills.
func (t *trial) run(ctx context.Context) (err error) {
	defer func() {
		if t.site != nil {
			err = errors.Join(err, t.leave())
		}
	}()
	for t.done < t.kills {
		if t.site == nil {
			if err := t.enter(ctx); err != nil {
				return err
			}
		}
		clean, err := t.playRound(ctx)
		if err != nil {
			return err
		}
		if !clean {
			// What is left behind holds its machine for good.
			if err := t.leave(); err != nil {
				return err
			}
		}
	}
	return nil
}

// enter opens a site with all nodes available.
func (t *trial) enter(ctx context.Context) (err error) {
	t.sites++
	dir := fmt.Sprintf("%s-%d", t.dir, t.sites)
	t.say("%s, %s: starting RabbitMQ, MariaDB, ironic-api and a room of %d machines", t.program.name, t.mode, t.machines)
	if t.site, err = openSite(ctx, dir, t.machines, t.seed, nil); err != nil {
		t.site = nil
		return err
	}
	names := []string{"one"}
	if t.mode == staysAway {
		names = append(names, "two")
	}
	for _, name := range names {
		h, err := t.site.addHost(ctx, name, t.program, false)
		if err != nil {
			return err
		}
		if _, err := h.start(ctx); err != nil {
			return err
		}
	}
	for _, h := range t.site.hosts {
		if err := h.awaitRegistered(ctx); err != nil {
			return err
		}
	}
	t.nodes, err = t.site.enrolAll(ctx)
	return err
}

// leave closes the site, and takes from the logs when flows were resumed.
func (t *trial) leave() error {
	site := t.site
	t.site = nil
	var failed []error
	for _, h := range site.hosts {
		resumed, err := readResumes(h.service.LogFile(), h.name)
		failed = append(failed, err)
		t.resumes = append(t.resumes, resumed...)
	}
	t.account()
	failed = append(failed, site.close())
	return errors.Join(failed...)
}
