package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
)

func newDrainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Let the conductor of this machine end its work and then end itself",
		Long: `Let the conductor of this machine leave the hash ring, take nothing new, end its work, and then end itself.

Flows that run come to their end, and with other conductors in the group machines are served that boot this one's ISO or
write its image. [DEFAULT]drain_shutdown_timeout (1800 s, 0 for ever) limits all of it; what is left then is resumed, by
another conductor or by this one's next start. SIGTERM ends a drain at once, in the same way.

The conductor is sent SIGUSR2, so this has to run on its machine, as its user or as root. It waits and shows what is left until the
conductor has ended. When it is interrupted the conductor goes on draining.`,
		Args: cobra.NoArgs,
	}
	flags := addOsloFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, _, err := flags.load(cmd.Context(), config.R2023_1)
		if err != nil {
			return err
		}
		return drain(cmd.Context(), cmd.OutOrStdout(), dialAddress(s.Ironmaster.AdminListen))
	}
	return cmd
}

// drainPoll is how often it is looked what is left.
const drainPoll = 500 * time.Millisecond

func drain(ctx context.Context, out io.Writer, address string) error {
	health, err := askHealth(ctx, address)
	if errors.As(err, new(*net.OpError)) {
		return fmt.Errorf("no conductor answers at %s ([ironmaster]admin_listen)", address)
	}
	if err != nil {
		return err
	}
	if err := signalConductor(health.PID, syscall.SIGUSR2); err != nil {
		return err
	}
	for said := ""; ; {
		if text := drainText(health); text != said {
			said = text
			fmt.Fprintln(out, text)
		}
		if err := drivers.Pause(ctx, drainPoll); err != nil {
			return fmt.Errorf("conductor %s goes on draining", health.Host)
		}
		now, err := askHealth(ctx, address)
		if errors.As(err, new(*net.OpError)) {
			_, err = fmt.Fprintf(out, "%s has ended\n", health.Host)
			return err
		}
		if err == nil && now.PID != health.PID {
			return fmt.Errorf("conductor %s was started again meanwhile", health.Host)
		}
		if err == nil {
			health = now
		}
	}
}

// drainText is one line about how a drain stands.
func drainText(h conductor.Health) string {
	d := h.Draining
	if d == nil {
		return h.Host + " is told to drain"
	}
	text := fmt.Sprintf("%s is draining: %s", h.Host, d.Doing)
	if d.AtWork > 0 {
		text += fmt.Sprintf(", %s at work", plural(d.AtWork, "flow or request", "flows and requests"))
	}
	if d.Readers > 0 {
		text += fmt.Sprintf(", %s from it", plural(d.Readers, "node reads", "nodes read"))
	}
	if !d.Until.IsZero() {
		// To the minute: this is not a countdown.
		text += fmt.Sprintf(", at most until %s UTC", d.Until.UTC().Format("15:04"))
	}
	return text
}

// signalConductor sends a signal to a conductor of this machine. The number came from admin_listen, which may be another
// machine's: here it would be somebody else's process.
func signalConductor(pid int, signal syscall.Signal) error {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	// The kernel keeps 15 characters of a name.
	if known := []string{"ironmaster", "ironic-conducto"}; err != nil || !slices.Contains(known, strings.TrimSpace(string(name))) {
		return fmt.Errorf("the conductor's process, %d, is not on this machine: run this where it runs, or send it %s there", pid, signal)
	}
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("sending %s to the conductor's process, %d: %w (run this as its user or as root)", signal, pid, err)
	}
	return nil
}
