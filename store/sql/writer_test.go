package sql

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

// Signs of life pass the queue of SQLite's writers.
func TestSignsOfLifeDoNotQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSoleWriter()
		leave, err := w.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		for _, come := range []struct {
			name  string
			enter func(context.Context) (func(), error)
		}{{"next", w.enter}, {"third", w.enter}, {"fourth", w.enter}, {"sign of life", w.enterFirst}} {
			go func() {
				leave, err := come.enter(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, come.name)
				leave()
			}()
			synctest.Wait()
		}
		given, giveUp := context.WithCancel(t.Context())
		giveUp()
		if _, err := w.enter(given); !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %v", err)
		}
		leave()
		synctest.Wait()
		if want := []string{"next", "sign of life", "third", "fourth"}; !slices.Equal(order, want) {
			t.Errorf("served in the order %q, want %q", order, want)
		}
	})
}
