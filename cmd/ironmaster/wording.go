package main

import (
	"fmt"
	"time"

	"github.com/ironmaster/ironmaster/conductor"
)

// span is a duration as people read it.
func span(d time.Duration) string { return conductor.Span(d) }

// clock is a duration in few columns: 0:42, 3:05, 2:10:00.
func clock(d time.Duration) string {
	d = max(0, d.Round(time.Second))
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	if h > 0 {
		return fmt.Sprintf("%d:%02d:%02d", h, m, s)
	}
	return fmt.Sprintf("%d:%02d", m, s)
}

// plural is a number with its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
