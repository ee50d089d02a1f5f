// Compose tries what docker-compose.yml brings up, as make compose-test: it builds the images, starts everything, deploys
// three machines, one of them while a third worker comes and one while that goes again, compares their disks with the
// image, and takes everything down. Run it from the top of the tree, where a Docker engine answers.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "\ncompose-test: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	t := &trial{began: time.Now(), api: api{"http://127.0.0.1:6385"}}
	defer func() {
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		} else {
			t.showLogs()
		}
		err = errors.Join(err, t.down(context.WithoutCancel(ctx)))
	}()
	for _, phase := range []struct {
		heading string
		run     func(context.Context) error
	}{
		{"Looking for the image debian:bookworm", t.findBase},
		{"Building the images", t.build},
		{"docker compose up: MariaDB, RabbitMQ, ironic-api, two workers, a room, an event follower", t.up},
		{"Looking at how the workers' containers are confined", t.confined},
		{"Enrolling the machines", t.enrol},
		{"Deploying the first machine", t.deployFirst},
		{"Scaling to three workers while the second machine is deployed", t.scaleUp},
		{"Scaling back to two while the leaving worker deploys the third machine", t.scaleDown},
		{"Comparing the disks with the image", t.compare},
		{"Reading what the event follower saw", t.readEvents},
		{"docker compose down", t.down},
	} {
		t.heading(phase.heading)
		if err := phase.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", phase.heading, err)
		}
	}
	t.heading("Passed")
	return nil
}
