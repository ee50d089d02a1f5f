package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/drivers"
)

// tally counts what came of deployments.
type tally struct {
	deployments, active, failed, left int
	// rewritten are images that were written again after somebody had read what became of the first writing, blind those
	// that were without. wrong are disks that hold something else than the image.
	rewritten, blind, wrong int
	// unannounced and repeated are deployed nodes of which no end was announced, or more than one.
	unannounced, repeated int
	locks                 int
}

func (a *tally) add(b tally) {
	a.deployments += b.deployments
	a.active += b.active
	a.failed += b.failed
	a.left += b.left
	a.rewritten += b.rewritten
	a.blind += b.blind
	a.wrong += b.wrong
	a.unannounced += b.unannounced
	a.repeated += b.repeated
	a.locks += b.locks
}

func (a tally) String() string {
	text := fmt.Sprintf("%d of %d active", a.active, a.deployments)
	for _, part := range []struct {
		count int
		what  string
	}{
		{a.failed, "failed"}, {a.left, "left behind"}, {a.rewritten, "rewritten after a look"}, {a.blind, "rewritten blindly"},
		{a.wrong, "disks wrong"}, {a.unannounced, "ends unannounced"}, {a.repeated, "ends repeated"}, {a.locks, "locks left"},
	} {
		if part.count > 0 {
			text += fmt.Sprintf(", %d %s", part.count, part.what)
		}
	}
	return text
}

// rewrites tells of the writes since a time how often an image was written again: after a look at what became of the writing
// before, and blindly. To be told that it goes on, or was completed, is no reason to write again.
func rewrites(writes []room.ImageWrite, since time.Time) (looked, blind int) {
	writes = slices.DeleteFunc(slices.Clone(writes), func(w room.ImageWrite) bool { return w.Begun.Before(since) })
	for i := range max(0, len(writes)-1) {
		if told := writes[i].Told; told == room.ToldFailed || told == room.ToldLost {
			looked++
		} else {
			blind++
		}
	}
	return looked, blind
}

// judge counts what came of a round, and keeps what is known of each deployment that did not end as it must.
func (t *trial) judge(ctx context.Context, began time.Time, rows map[string]row) (tally, error) {
	sum := tally{deployments: len(t.nodes)}
	for i, node := range t.nodes {
		r := rows[node]
		problem := ""
		switch {
		case r.state == "active" && r.holder == "":
			sum.active++
			problem = t.site.judgeActive(ctx, i, node, &sum)
		case r.failed() && r.holder == "":
			sum.failed++
			t.reasons[reasonOf(r.failure)]++
			problem = "failed: " + r.failure
		default:
			sum.left++
			problem = fmt.Sprintf("left in %q, held by %q", r.state, r.holder)
		}
		looked, blind := rewrites(t.site.room.Machines()[i].ImageWrites(), began)
		sum.rewritten, sum.blind = sum.rewritten+looked, sum.blind+blind
		if blind > 0 {
			problem += " image written again blindly"
		}
		if problem != "" {
			if err := t.site.keepEvidence(ctx, fmt.Sprintf("round-%d", t.round), began, node, r, problem); err != nil {
				return sum, err
			}
		}
	}
	locks, err := t.site.locksLeft(ctx, rows)
	sum.locks = locks
	t.tally.add(sum)
	return sum, err
}

// judgeActive looks at what a deployment left on the disk and told the world.
func (s *site) judgeActive(ctx context.Context, i int, node string, sum *tally) (problem string) {
	if got, err := s.room.Machines()[i].DiskSHA256(s.image.Size); err != nil || got != s.image.SHA256 {
		sum.wrong++
		problem = "the disk is not the image"
	}
	for end := time.Now().Add(noticeTime); s.notices.count(node) == 0 && time.Now().Before(end); {
		if drivers.Pause(ctx, pollPause) != nil {
			return problem
		}
	}
	switch ends := s.notices.count(node); {
	case ends == 0:
		sum.unannounced++
		problem += " its end was not announced"
	case ends > 1:
		sum.repeated++
		problem += fmt.Sprintf(" its end was announced %d times", ends)
	}
	return problem
}

// locksLeft counts reservations in the shared database and locks of the workers. A worker may be about to let go.
func (s *site) locksLeft(ctx context.Context, rows map[string]row) (count int, err error) {
	for _, r := range rows {
		if r.holder != "" {
			count++
		}
	}
	for _, h := range s.hosts {
		if h.program.name == python {
			continue
		}
		for end := time.Now().Add(noticeTime); ; {
			held, err := h.locks(ctx)
			if err == nil && len(held) == 0 {
				break
			}
			if time.Now().After(end) {
				if err != nil {
					return count, err
				}
				count += len(held)
				break
			}
			if err := drivers.Pause(ctx, pollPause); err != nil {
				return count, err
			}
		}
	}
	return count, nil
}

// keepEvidence writes what is known of a node into a file: why, its row, and the lines of all logs that name it.
func (s *site) keepEvidence(ctx context.Context, when string, since time.Time, node string, r row, problem string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s since %s: %s\n\n", node, r.name, since.UTC().Format(time.RFC3339), problem)
	var columns string
	err := s.database.QueryRowContext(ctx, "SELECT CONCAT_WS('\n', provision_state, target_provision_state, reservation, last_error, "+
		"deploy_step, driver_internal_info) FROM nodes WHERE uuid = ?", node).Scan(&columns)
	if err != nil {
		return fmt.Errorf("reading node %s: %w", node, err)
	}
	fmt.Fprintf(&text, "%s\n", columns)
	for _, h := range s.hosts {
		log, err := os.ReadFile(h.service.LogFile())
		if err != nil {
			return fmt.Errorf("reading the log of %s: %w", h.name, err)
		}
		fmt.Fprintf(&text, "\n%s:\n", h.name)
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, node) {
				text.WriteString(line)
			}
		}
	}
	dir := filepath.Join(s.lab.Dir, "evidence")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, when+"-"+r.name+".txt"), []byte(text.String()), 0o644)
}

// reasonOf takes out of an error what differs from node to node.
func reasonOf(failure string) string {
	words := strings.Fields(failure)
	for i, word := range words {
		if strings.Count(word, "-") >= 4 || strings.Contains(word, "://") {
			words[i] = "..."
		}
	}
	return fmt.Sprintf("%.160s", strings.Join(words, " "))
}
