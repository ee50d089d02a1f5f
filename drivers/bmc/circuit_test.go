package bmc

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &circuit{shortest: 5 * time.Second, longest: time.Minute}
		admitted := func(what string, routine, want bool) {
			t.Helper()
			if err := c.admit(routine, time.Now()); (err == nil) != want {
				t.Errorf("%s: %v", what, err)
			}
		}
		began := time.Now()
		for range breakAfter {
			admitted("before it counts as silent", true, true)
			c.failed(errors.New("no answer"))
		}
		waited := time.Now()
		admitted("at once", true, false)
		admitted("at once, asked for", false, true)

		// The pause is as long as the silence, within its bounds.
		for _, pause := range []time.Duration{5, 5, 10, 20, 40, 60, 60} {
			time.Sleep(pause*time.Second - time.Millisecond)
			admitted("before the pause is over", true, false)
			time.Sleep(time.Millisecond)
			admitted("after the pause", true, true)
			c.failed(errors.New("no route"))
		}

		// Who waited while another one found out is told the same, whoever asked.
		err := c.admit(false, waited)
		if want := "not answered since " + began.UTC().Format("2006-01-02 15:04:05 UTC") + " (10 requests in a row): no route"; err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("told %v, want %s", err, want)
		}
		if silence := c.answered(); silence != time.Since(began) || c.silent() {
			t.Errorf("an answer after %s", silence)
		}
		admitted("after an answer", true, true)
		if c.failed(errors.New("no answer")); c.silent() || c.stale(time.Hour) {
			t.Error("one request without an answer makes no silence, and is remembered")
		}
		if time.Sleep(2 * time.Hour); !c.stale(time.Hour) {
			t.Error("remembered for ever")
		}
	})
}
