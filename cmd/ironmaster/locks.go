package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/store/local"
)

func newLocksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "locks",
		Short: "Show which nodes the conductor of this machine has locked, and what for",
		Long: `Show which nodes the conductor of this machine has locked, what for, on whose request and since when.

The running conductor is asked at [ironmaster]admin_listen. When none answers, the locks are read from its state file:
they are what it held when it ended, and goes on with when it starts again.

--release NODE frees a node, by UUID or name, that nobody works on: one that this conductor is said to hold and does not,
one of a conductor that gave no sign of life for [conductor]heartbeat_timeout, or of one that does not exist. It is refused,
and says why, while somebody works on the node or may: a machine must not be touched by two. There is no way to force it. A
flow that was cut short goes on once its node is free. When no conductor runs here, the state file and the database are
changed directly.`,
		Args: cobra.NoArgs,
	}
	flags := addOsloFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	release := cmd.Flags().String("release", "", "free this `node` if nobody works on it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, _, err := flags.load(cmd.Context(), config.R2023_1)
		if err != nil {
			return err
		}
		if *release != "" {
			done, err := releaseLock(cmd.Context(), s, *release)
			if err != nil {
				return err
			}
			return printUnlocked(cmd.OutOrStdout(), done, *asJSON)
		}
		locks, from, err := findLocks(cmd.Context(), s.Ironmaster)
		if err != nil {
			return err
		}
		if from != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), from)
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(locks)
		}
		return printLocks(cmd.OutOrStdout(), locks, time.Now())
	}
	return cmd
}

// operatorsTimeout is how long a running conductor may take to answer.
const operatorsTimeout = 5 * time.Second

// findLocks asks the running conductor, or else reads its state file; from then says so.
func findLocks(ctx context.Context, c config.Ironmaster) (locks []conductor.LockView, from string, err error) {
	address := dialAddress(c.AdminListen)
	locks, err = askLocks(ctx, address)
	if err == nil {
		return locks, "", nil
	}
	if !errors.As(err, new(*net.OpError)) {
		return nil, "", err
	}
	db, err := openLeft(c)
	if err != nil {
		return nil, "", err
	}
	locks = conductor.ViewLocks(db.Locks())
	return locks, fmt.Sprintf("No conductor answers at %s. These are the locks that the last one left in %s:", address,
		c.StateFile), db.Close()
}

// openLeft opens the state file of a conductor that does not answer, to read it.
func openLeft(c config.Ironmaster) (*local.DB, error) { return openLeftBy(c, local.OpenReadOnly) }

func openLeftBy(c config.Ironmaster, open func(path string) (*local.DB, error)) (*local.DB, error) {
	address := dialAddress(c.AdminListen)
	db, err := open(c.StateFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no conductor answers at %s ([ironmaster]admin_listen), and there is no state file %s: "+
			"none ran here with this configuration", address, c.StateFile)
	case errors.Is(err, local.ErrInUse):
		return nil, fmt.Errorf("no conductor answers at %s, but one has %s open: it runs with another "+
			"[ironmaster]admin_listen, or is just starting or stopping", address, c.StateFile)
	case errors.Is(err, local.ErrForeign):
		return nil, fmt.Errorf("no conductor answers at %s, and %w: look at [ironmaster]state_file", address, err)
	case errors.Is(err, local.ErrCorrupt):
		return nil, fmt.Errorf("no conductor answers at %s, and %w: the next start keeps the file beside and begins a new "+
			"one; flows then go on from the shared database", address, err)
	case err != nil:
		return nil, fmt.Errorf("no conductor answers at %s, and reading %s failed: %w", address, c.StateFile, err)
	}
	return db, nil
}

func askLocks(ctx context.Context, address string) (locks []conductor.LockView, err error) {
	err = askOperators(ctx, address, "locks", &locks)
	return locks, err
}

// askHealth asks how a running conductor is doing.
func askHealth(ctx context.Context, address string) (health conductor.Health, err error) {
	err = askOperators(ctx, address, "healthz", &health)
	return health, err
}

// askOperators reads an answer of [ironmaster]admin_listen.
func askOperators(ctx context.Context, address, what string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, operatorsTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/"+what, nil)
	if err != nil {
		return fmt.Errorf("[ironmaster]admin_listen: %w", err)
	}
	return answerOf(request, into)
}

// answerOf sends a request of an operator and reads its answer.
func answerOf(request *http.Request, into any) error {
	address := request.URL.Host
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the conductor: %w", err)
	}
	defer response.Body.Close()
	decoder := json.NewDecoder(io.LimitReader(response.Body, 64<<20))
	// A conductor that is not ready says so with 503, and why.
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusServiceUnavailable {
		var refusal conductor.AdminError
		if decoder.Decode(&refusal) == nil && refusal.Error != "" {
			return errors.New(refusal.Error)
		}
		return fmt.Errorf("%s answers %s: it is no conductor's [ironmaster]admin_listen", address, response.Status)
	}
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s answers, but is no conductor's [ironmaster]admin_listen: %w", address, err)
	}
	return nil
}

// dialAddress is where a listener on this machine is reached: one that listens everywhere is found on loopback.
func dialAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

func printLocks(out io.Writer, locks []conductor.LockView, now time.Time) error {
	if len(locks) == 0 {
		_, err := fmt.Fprintln(out, "No node is locked.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tKIND\tPURPOSE\tREQUEST\tSINCE\tHELD FOR\tEPOCH")
	for _, l := range locks {
		kind := "exclusive"
		if l.Shared {
			kind = "shared"
		}
		request := firstOf(l.RequestID, "-")
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", l.Node, kind, l.Purpose, request,
			l.Since.Local().Format(time.DateTime), span(now.Sub(l.Since)), l.Epoch)
	}
	return table.Flush()
}
