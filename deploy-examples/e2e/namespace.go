package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// The network of the machines. Nothing outside the namespace is reached or reaches in.
const (
	bridge  = "machines"
	address = "10.77.0.1"
	prefix  = "/24"
	leases  = "10.77.0.10,10.77.0.250,255.255.255.0,1h"
)

// These variables tell the program that it runs in its namespace: how QEMU shall run machines, and when it all began.
const (
	accelVariable = "IRONMASTER_E2E_ACCEL"
	beganVariable = "IRONMASTER_E2E_BEGAN"
)

// inside tells whether the program runs in its namespace, and takes over what was found out outside.
func (t *trial) inside() bool {
	t.accel = os.Getenv(accelVariable)
	began, err := time.Parse(time.RFC3339Nano, os.Getenv(beganVariable))
	t.began = began
	return err == nil && t.accel != ""
}

// enter runs this program again in a network namespace of its own, and waits for it. Who is not root stays
// who he is, in a user namespace in which he may make networks.
func (t *trial) enter() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// A proxy, if there is one, is out of reach there.
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasSuffix(strings.ToLower(name), "_proxy")
	}), accelVariable+"="+t.accel, beganVariable+"="+t.began.Format(time.RFC3339Nano))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW}
	}
	// A terminal sends Ctrl-C to both; what kill sends to this process is passed on.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("making a network namespace, which takes root or the right to make user namespaces: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return fmt.Errorf("passing on a signal: %w", err)
			}
		case err := <-done:
			var ended *exec.ExitError
			if errors.As(err, &ended) {
				return errTold
			}
			return err
		}
	}
}

// connect makes the network of the machines: a bridge that carries the address of the services, and a DHCP server on it.
func (t *trial) connect(ctx context.Context) error {
	tun, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("QEMU plugs machines in with the kernel's module tun, which a container has to be given: %w", err)
	}
	if err := tun.Close(); err != nil {
		return fmt.Errorf("looking at /dev/net/tun: %w", err)
	}
	for _, words := range []string{
		"link set dev lo up",
		"link add name " + bridge + " type bridge",
		"address add " + address + prefix + " dev " + bridge,
		"link set dev " + bridge + " up",
	} {
		out, err := exec.CommandContext(ctx, "ip", strings.Fields(words)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", words, err, strings.TrimSpace(string(out)))
		}
	}
	boot, err := t.dhcpArguments()
	if err != nil {
		return fmt.Errorf("preparing DHCP: %w", err)
	}
	_, err = t.lab.StartService(lab.Command{
		Name: "dnsmasq", Path: "/usr/sbin/dnsmasq",
		Args: append([]string{
			"--conf-file=/dev/null", "--keep-in-foreground", "--log-facility=-", "--pid-file=", "--user=root", "--group=root",
			"--port=0", "--interface=" + bridge, "--bind-interfaces", "--dhcp-authoritative", "--dhcp-range=" + leases,
			"--dhcp-leasefile=" + t.dhcpLeases(),
		}, boot...),
	})
	return err
}
