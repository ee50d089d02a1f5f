package conductor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
)

// A running flow waits for room on the disk and goes on; new requests are refused meanwhile, and health says why.
func TestAFullDiskHoldsWorkUp(t *testing.T) {
	r := newRig(t, nil)
	w := r.start(t)
	begun, goOn := make(chan bool), make(chan bool)
	s := step("journal", 100, drivers.Done, nil)
	s.Run = func(ctx context.Context, dt *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
		begun <- true
		<-goOn
		return drivers.Done, dt.Worker.Journal(dt).Put(ctx, "intent", strings.Repeat("x", 200_000))
	}
	w.script.use(behaviour{steps: deploySteps(s)})
	running := w.available(t, nil)
	w.must(t, "do_node_deploy", map[string]any{"node_id": running.UUID, "rebuild": false})
	<-begun

	// The files of the shared database stay below what the worker's own is limited to.
	for i := range 40 {
		if err := w.local.Put(fmt.Sprint("filler ", i), "key", strings.Repeat("x", 200_000)); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(r.file)
	if err != nil {
		t.Fatal(err)
	}
	unlimited := limitFiles(t, uint64(info.Size()))
	for i := 0; err == nil; i++ {
		err = w.local.Put(fmt.Sprint("more ", i), "key", strings.Repeat("x", 100_000))
	}
	if !errors.Is(err, local.ErrFull) {
		t.Fatal(err)
	}
	goOn <- true

	refused := w.available(t, nil)
	args := map[string]any{"node_id": refused.UUID, "rebuild": false, "configdrive": strings.Repeat("x", 200_000)}
	text := w.refused(t, store.TemporaryFailure, "do_node_deploy", args)
	equal(t, "refusal", text, "Conductor worker-1 has no room on its disk for its journal and takes no requests")
	equal(t, "state of the running node", w.row(t, running.UUID).ProvisionState, store.Deploying)

	unlimited()
	w.settled(t, running.UUID, store.Active)
	equal(t, "health", w.Health().Parts["state_file"], "ok")
}

// limitFiles bounds the size of all files of this process, as a full disk would.
func limitFiles(t *testing.T, size uint64) (undo func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	set := func(limit syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
	}
	set(syscall.Rlimit{Cur: size, Max: before.Max})
	undo = func() { set(before) }
	t.Cleanup(undo)
	return undo
}

func TestWritesWaitForRoom(t *testing.T) {
	full := fmt.Errorf("committing: %w", local.ErrFull)
	broken := errors.New("broken")
	synctest.Test(t, func(t *testing.T) {
		c := &Conductor{log: zerolog.Nop()}
		c.workCtx, c.endWork = context.WithCancel(t.Context())
		began, tries := time.Now(), 0
		write := func(results ...error) func() error {
			tries = 0
			return func() error { tries++; return results[min(tries, len(results))-1] }
		}
		equal(t, "with room", c.untilRoom(t.Context(), "a test", write(nil)), nil)
		equal(t, "of another cause", c.untilRoom(t.Context(), "a test", write(broken)), broken)
		equal(t, "waited", time.Since(began), 0)
		equal(t, "with room later", c.untilRoom(t.Context(), "a test", write(full, full, full, nil)), nil)
		equal(t, "waited", time.Since(began), 3*roomPoll)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.untilRoom(ctx, "a test", write(full)); !errors.Is(err, local.ErrFull) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without patience: %v", err)
		}
		time.AfterFunc(time.Minute, c.endWork)
		if err := c.untilRoom(t.Context(), "a test", write(full)); !errors.Is(err, context.Canceled) {
			t.Errorf("when the worker stops: %v", err)
		}
	})
}

// A worker whose file was torn comes up, and says so.
func TestADamagedStateFileIsTold(t *testing.T) {
	r := newRig(t, nil)
	if err := os.WriteFile(r.file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := r.start(t)
	health := w.Health()
	equal(t, "ready", health.Ready, true)
	want := "begun anew, because the earlier one was damaged; that is kept as " + r.file + ".damaged-"
	equal(t, "says so", strings.HasPrefix(health.Parts["state_file"], want), true)
}
