package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/store/local"
)

// printExplanation writes an explanation for a person: the node, the newest moments of its timeline, and the reason.
func printExplanation(out io.Writer, x conductor.Explanation, most int, now time.Time) error {
	var b strings.Builder
	describeNode(&b, x, now)
	b.WriteString("\n")
	moments := x.Timeline
	if earlier := len(moments) - most; earlier > 0 {
		fmt.Fprintf(&b, "(%s: --all)\n", plural(earlier, "earlier moment", "earlier moments"))
		moments = moments[earlier:]
	}
	if len(moments) == 0 {
		fmt.Fprintf(&b, "Conductor %s remembers nothing of this node.\n", x.Conductor)
	}
	day := ""
	for _, m := range moments {
		if date := m.At.UTC().Format(time.DateOnly); date != day {
			day = date
			fmt.Fprintf(&b, "%s UTC\n", day)
		}
		b.WriteString(momentLine(m, now) + "\n")
	}
	fmt.Fprintf(&b, "\n%s\n", reasonText(x.Reason))
	_, err := io.WriteString(out, b.String())
	return err
}

func describeNode(b *strings.Builder, x conductor.Explanation, now time.Time) {
	n := x.Node
	line := func(name, format string, args ...any) {
		fmt.Fprintf(b, "%-16s %s\n", name, fmt.Sprintf(format, args...))
	}
	title := n.UUID
	if n.Name != "" {
		title = n.Name + " (" + n.UUID + ")"
	}
	line("node", "%s", strings.TrimSpace(title+"  "+n.Driver))
	if n.ProvisionState != "" {
		state := n.ProvisionState
		if n.TargetState != "" {
			state += ", on its way to " + n.TargetState
		}
		if !n.Since.IsZero() {
			state += ", since " + moment(n.Since, now)
		}
		line("provision state", "%s", state)
		line("power state", "%s", firstOf(n.PowerState, "unknown"))
	}
	if n.Step != "" {
		line("step", "%s", n.Step)
	}
	if n.Reservation != "" {
		line("locked by", "%s", strings.TrimSuffix(n.Reservation+", for "+n.Purpose, ", for "))
	}
	if x.Owner != "" {
		line("conductor", "%s", x.Owner)
	}
	if !n.LastHeartbeat.IsZero() {
		line("last heartbeat", "%s", moment(n.LastHeartbeat, now))
	}
	if n.Maintenance {
		line("maintenance", "%s", firstOf(n.MaintenanceText, "yes"))
	}
	if n.LastError != "" {
		line("last error", "%s", n.LastError)
	}
}

// moment is a time with how long ago it was: 2026-01-02 15:04:05 UTC (12 s ago).
func moment(at, now time.Time) string {
	return fmt.Sprintf("%s UTC (%s ago)", at.UTC().Format(time.DateTime), span(now.Sub(at)))
}

func momentLine(m local.Moment, now time.Time) string {
	text := m.Text
	if m.Result != "" {
		text += ": " + m.Result
	}
	if m.Failed {
		text = "FAILED " + text
	}
	if m.Count > 1 {
		text += fmt.Sprintf(" (%d times, the last %s ago)", m.Count, span(now.Sub(m.Last)))
	}
	return fmt.Sprintf("%s  %15s  %-9s  %s", m.At.UTC().Format(time.TimeOnly), span(now.Sub(m.At))+" ago", m.Kind,
		strings.Join(strings.Fields(text), " "))
}

// reasonText is the one paragraph that says why a node waits.
func reasonText(r conductor.Reason) string {
	if r.WaitsFor == "" {
		return "It waits for nothing: " + r.Because + "."
	}
	return fmt.Sprintf("It waits for %s; likely because %s.\nTry: %s.", r.WaitsFor, strings.TrimSuffix(r.Because, "."), r.Try)
}
