// Bench measures Ironmaster and Debian's Python ironic-conductor in one run: one after the other, on the same MariaDB and
// the same RabbitMQ, with the same ironic.conf. No ironic-api stands between: this program sends the RPC itself. Run it
// with make bench from the top of the tree.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

func main() {
	b := &bench{out: os.Stdout}
	var only, dir, program string
	var strict bool
	flag.StringVar(&only, "only", "", "measure these conductors, comma separated: python, ironmaster; both when empty")
	flag.StringVar(&b.parts, "parts", "", "measure these parts, comma separated: "+strings.Join(partNames(), ", ")+
		"; all when empty")
	flag.StringVar(&program, "ironmaster", "bin/ironmaster", "the Ironmaster to measure")
	flag.StringVar(&dir, "dir", ".lab/bench", "folder for everything that the run writes")
	flag.BoolVar(&strict, "strict", false, "fail when a figure falls short of what is expected")
	flag.DurationVar(&b.rateTime, "rate-time", defaultRateTime, "how long each rate of calls is measured")
	flag.Parse()

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	short, err := start(ctx, b, only, dir, program)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
	if strict && short > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d figures fall short\n", short)
		os.Exit(1)
	}
}

// start runs the whole benchmark and returns how many figures fall short.
func start(ctx context.Context, b *bench, only, dir, program string) (short int, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return 0, err
	}
	if program, err = filepath.Abs(program); err != nil {
		return 0, err
	}
	if _, err := os.Stat(program); err != nil {
		return 0, fmt.Errorf("there is no %s yet: run make build", program)
	}
	if err := os.RemoveAll(dir); err != nil {
		return 0, err
	}
	for _, c := range []conductor{
		{name: python, path: "/usr/bin/ironic-conductor"},
		{name: ironmaster, path: program, args: []string{"conductor"}},
	} {
		if only == "" || contains(only, c.name) {
			b.conductors = append(b.conductors, c)
		}
	}
	if len(b.conductors) == 0 {
		return 0, fmt.Errorf("no conductor is named %q: there are %s and %s", only, python, ironmaster)
	}
	set, err := lab.New(ctx, lab.Options{Dir: dir, Extra: settings})
	if err != nil {
		return 0, err
	}
	b.lab = set
	defer func() { err = errors.Join(err, set.Close()) }()
	// What was measured before something went wrong took minutes, and is shown.
	err = b.run(ctx)
	short, reportErr := b.report(dir)
	return short, errors.Join(err, reportErr)
}

func contains(list, name string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(one) == name {
			return true
		}
	}
	return false
}
