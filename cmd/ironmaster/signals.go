package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/ironmaster/ironmaster/conductor"
)

// endings are the signals that end a conductor. SIGTERM and SIGINT end the program's context.
var endings = map[os.Signal]conductor.Ending{
	syscall.SIGUSR1: conductor.StopRegistered,
	syscall.SIGUSR2: conductor.Drain,
}

// watchSignals hands the signals of operators on to a running conductor until ctx ends: those of endings to end, SIGHUP to
// reload. The returned function undoes it and waits.
func watchSignals(ctx context.Context, end func(conductor.Ending), reload func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	signals, done := make(chan os.Signal, 4), make(chan struct{})
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP)
	go func() {
		defer close(done)
		for {
			select {
			case s := <-signals:
				if how, ends := endings[s]; ends {
					end(how)
				} else {
					reload(ctx)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		// From here on the signals are ignored, not fatal as they are by default: what is left ends by itself.
		signal.Ignore(syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP)
		cancel()
		<-done
	}
}
