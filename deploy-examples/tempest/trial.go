package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// pluginTests finds the tests that need an ironic-api and nothing else.
const pluginTests = `^ironic_tempest_plugin\.tests\.api\.`

// The conductors that are compared.
const (
	python     = "python"
	ironmaster = "ironmaster"
)

// host is the name of both conductors, which never run at a time.
const host = "tempest-conductor"

// trial is one run.
type trial struct {
	program, dir, tests, only, page string
	workers                         int
	out                             io.Writer

	lab *lab.Lab
}

// conductor is one that the tests run against.
type conductor struct {
	name, program string
	args          []string
}

func (t *trial) run(ctx context.Context) (err error) {
	t.lab, err = lab.Start(ctx, lab.Options{Dir: t.dir, Database: "mariadb", Keystone: true, Extra: ironicOptions})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.lab.Close()) }()
	release, err := t.lab.IronicVersion()
	if err != nil {
		return err
	}
	cloud, err := logIn(ctx, t.lab)
	if err != nil {
		return err
	}
	if err := cloud.announce(ctx, "baremetal", t.lab.IronicURL); err != nil {
		return err
	}
	suite, err := newSuite(filepath.Join(t.dir, "suite"), t.lab.KeystoneURL)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "ironic %s at %s, Keystone at %s; the logs are in %s\n", release, t.lab.IronicURL, t.lab.KeystoneURL, t.dir)
	found := map[string]results{}
	for _, c := range []conductor{
		{name: python, program: "/usr/bin/ironic-conductor"},
		{name: ironmaster, program: t.program, args: []string{"conductor"}},
	} {
		if t.only != "" && t.only != c.name {
			continue
		}
		if found[c.name], err = t.try(ctx, c, cloud, suite); err != nil {
			return err
		}
	}
	if t.only != "" {
		fmt.Fprint(t.out, found[t.only].failures())
		return nil
	}
	all := compare(found[python], found[ironmaster])
	fmt.Fprint(t.out, "\n", all.table(), "\n", all.exceptions())
	if t.page != "" {
		if err := writeSection(t.page, release, all); err != nil {
			return err
		}
	}
	return all.verdict()
}

// try runs the tests with a conductor behind ironic-api.
func (t *trial) try(ctx context.Context, c conductor, cloud *cloud, s *suite) (_ results, err error) {
	conf := filepath.Join(t.dir, c.name+".conf")
	if err := t.lab.WriteConf(conf, host, nil); err != nil {
		return nil, err
	}
	command := t.lab.ConductorCommand(host, conf, c.program, c.args...)
	command.Name = c.name
	command.Ready = cloud.serves
	service, err := t.lab.StartService(command)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, service.Stop()) }()
	began := time.Now()
	found, err := s.run(ctx, filepath.Join(t.dir, "tests-"+c.name+".log"), t.tests, t.workers)
	if err != nil {
		return nil, fmt.Errorf("running the tests with %s: %w", c.name, err)
	}
	fmt.Fprintf(t.out, "%s: %d of %d tests passed in %.0f s\n", c.name, found.passed(), len(found), time.Since(began).Seconds())
	file := filepath.Join(t.dir, "failures-"+c.name+".txt")
	return found, os.WriteFile(file, []byte(found.failures()), 0o644)
}
