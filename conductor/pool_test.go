package conductor

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/ironmaster/ironmaster/store"
)

func TestPoolRefusesBeyondItsSizeAndKeepsAPartForUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(20, 10)
		release := make(chan struct{})
		work := func(context.Context) { <-release }
		for i := range 18 {
			if err := p.StartUnreserved(t.Context(), work); err != nil {
				t.Fatalf("heartbeat %d: %v", i, err)
			}
		}
		err := p.StartUnreserved(t.Context(), work)
		equal(t, "kind of a refused heartbeat", store.KindOf(err), store.NoFreeConductorWorker)
		for i := range 2 {
			if err := p.Start(t.Context(), work); err != nil {
				t.Fatalf("reserved worker %d: %v", i, err)
			}
		}
		err = p.Start(t.Context(), work)
		equal(t, "kind of refused work", store.KindOf(err), store.NoFreeConductorWorker)
		equal(t, "text of refused work", err.Error(),
			"Requested action cannot be performed due to lack of free conductor workers.")
		equal(t, "workers", p.Busy(), 20)
		close(release)
		synctest.Wait()
		equal(t, "workers left", p.Busy(), 0)
		ended := false
		if err := p.Start(t.Context(), func(context.Context) { ended = true }); err != nil {
			t.Fatal(err)
		}
		p.Close()
		equal(t, "Close waited", ended, true)
		err = p.Start(t.Context(), work)
		equal(t, "kind after Close", store.KindOf(err), store.NoFreeConductorWorker)
	})
}
