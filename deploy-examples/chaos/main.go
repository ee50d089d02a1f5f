// Chaos ends conductors without warning while they deploy machines, and counts what comes of it. Everything is real but the
// machines, which are those of a room: ironic-api, RabbitMQ, MariaDB, and the program that plays the conductor.
//
// "chaos kills" (make kills) kills Ironmaster, and for comparison Debian's Python ironic-conductor, at random instants of many
// deployments: one worker that comes back at once, and two of which the killed one stays away until the other has taken over.
// "chaos storm" (make chaos) lets three workers deploy while they are killed, RabbitMQ and MariaDB restart, and network paths are
// cut, as a seed says.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	// The driver of the database would print that the server is away.
	if err := mysql.SetLogger(&mysql.NopLogger{}); err != nil {
		fmt.Fprintf(os.Stderr, "chaos: %v\n", err)
		os.Exit(1)
	}
	commands := map[string]func(context.Context, []string) error{"kills": kills, "storm": runStorm}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: chaos kills|storm [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](ctx, os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "chaos: %v\n", err)
		os.Exit(1)
	}
}

// flags are those of both commands.
type flags struct {
	*flag.FlagSet
	dir, program string
	machines     int
	seed         uint64
}

func newFlags(name string, machines int) *flags {
	f := &flags{FlagSet: flag.NewFlagSet("chaos "+name, flag.ExitOnError)}
	f.StringVar(&f.dir, "dir", ".lab/"+name, "folder for everything that the run writes")
	f.StringVar(&f.program, "ironmaster", "bin/ironmaster", "the Ironmaster to run")
	f.IntVar(&f.machines, "machines", machines, "how many machines stand in the room")
	f.Uint64Var(&f.seed, "seed", 1, "decides what happens when")
	return f
}

// prepare empties the folder and finds the program.
func (f *flags) prepare() (program, error) {
	var err error
	if f.dir, err = filepath.Abs(f.dir); err != nil {
		return program{}, err
	}
	path, err := filepath.Abs(f.program)
	if err != nil {
		return program{}, err
	}
	if _, err := os.Stat(path); err != nil {
		return program{}, fmt.Errorf("there is no %s yet: run make build", path)
	}
	return program{name: ironmaster, path: path, args: []string{"conductor"}}, os.RemoveAll(f.dir)
}

// diary prints what happens, with the time since the beginning. Many may write into it at a time.
type diary struct {
	mu    sync.Mutex
	out   io.Writer
	began time.Time
}

func (d *diary) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.out, "%6.1f s  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

// errShort says that a run did not come out as it must; what it printed tells how.
var errShort = errors.New("not as it must be")
