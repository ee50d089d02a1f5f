package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/ironmaster/ironmaster/conductor"
)

// barSink draws a live line for each node under way, and puts what is over and done above them.
type barSink struct {
	screen *mpb.Progress
	rows   map[string]*barRow

	// mu guards what the lines are drawn from. It is never held while mpb is called: mpb draws lines while it answers.
	mu sync.Mutex
	// nameWidth and stepWidth keep the columns in line. They only grow.
	nameWidth, stepWidth int
}

// barRow is the line of a node.
type barRow struct {
	bar      *mpb.Bar
	title    string
	progress conductor.ProgressPayload
	// began, stepped and told are when the flow, its step and its latest event were seen first, by the clock of this
	// machine.
	began, stepped, told time.Time
	// over tells that a lasting line has taken its place; mpb draws the live one a few times more.
	over bool
}

func newBarSink(out io.Writer) *barSink {
	return &barSink{screen: mpb.New(mpb.WithOutput(out), mpb.WithAutoRefresh()), rows: map[string]*barRow{}}
}

func (s *barSink) notice(text string) {
	// mpb can not write any more once it is closed, and then nobody looks.
	_, _ = fmt.Fprintln(s.screen, text)
}

func (s *barSink) show(e nodeEvent) error {
	if e.progress == nil {
		_, err := fmt.Fprintln(s.screen, eventLine(e))
		return err
	}
	now := time.Now()
	row := s.rows[e.uuid]
	if status := e.status(); status == "end" || status == "error" {
		return s.finish(row, e, now)
	}
	if e.progress.Flow == "" {
		// A sign of life without a flow, as after a worker's restart: it is no reason to begin a line.
		if row == nil {
			return nil
		}
		e.progress.Flow = row.progress.Flow
	}
	if row != nil && row.progress.Flow != e.progress.Flow {
		// The end of the earlier flow was missed.
		row.bar.Abort(true)
		row = nil
	}
	if row != nil {
		s.update(row, e, now)
		return nil
	}
	row = &barRow{title: e.title(), began: now, stepped: now}
	s.update(row, e, now)
	bar, err := s.screen.Add(0, s.filler(row), mpb.BarFillerTrim())
	if err != nil {
		return fmt.Errorf("drawing: %w", err)
	}
	row.bar, s.rows[e.uuid] = bar, row
	return nil
}

func (s *barSink) update(row *barRow, e nodeEvent, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value(row.progress.Step) != value(e.progress.Step) || value(row.progress.Index) != value(e.progress.Index) {
		row.stepped = now
	}
	row.progress, row.told = *e.progress, now
	s.nameWidth = max(s.nameWidth, utf8.RuneCountInString(row.title))
	s.stepWidth = max(s.stepWidth, utf8.RuneCountInString(row.step()))
}

// finish replaces a node's live line by a lasting one.
func (s *barSink) finish(row *barRow, e nodeEvent, now time.Time) error {
	_, text := e.describe()
	if row != nil {
		s.mu.Lock()
		row.over = true
		s.mu.Unlock()
		row.bar.Abort(true)
		delete(s.rows, e.uuid)
		if took := span(now.Sub(row.began)); e.status() == "end" {
			text += " in " + took
		} else {
			text += " (after " + took + ")"
		}
	}
	_, err := fmt.Fprintf(s.screen, "%-*s  %-6s  %s\n", s.nameWidth, e.title(), oneLine(e.progress.Flow), oneLine(text))
	return err
}

// filler draws a row whenever mpb refreshes the screen.
func (s *barSink) filler(row *barRow) mpb.BarFiller {
	return mpb.BarFillerFunc(func(w io.Writer, stat decor.Statistics) error {
		s.mu.Lock()
		line := row.line(barLayout{width: stat.AvailableWidth, name: s.nameWidth, step: s.stepWidth}, time.Now())
		s.mu.Unlock()
		_, err := io.WriteString(w, line)
		return err
	})
}

// close leaves the lines of unfinished flows as they are.
func (s *barSink) close() error {
	for _, row := range s.rows {
		row.bar.Abort(false)
	}
	s.screen.Wait()
	return nil
}

// barLayout says how wide the terminal and the first columns are.
type barLayout struct{ width, name, step int }

// step is the step without its interface: the flow tells enough.
func (r *barRow) step() string {
	name := value(r.progress.Step)
	return stepText(r.progress, name[strings.LastIndexByte(name, '.')+1:])
}

// line is the row as it is now: name, flow, step, and how far it is.
func (r *barRow) line(l barLayout, now time.Time) string {
	name, step := min(l.name, max(12, l.width/4)), min(l.step, max(16, l.width/5))
	head := fmt.Sprintf("%s  %-6s  %s  ", fit(r.title, name), oneLine(r.progress.Flow), fit(r.step(), step))
	if r.over {
		return cut(strings.TrimRight(head, " "), l.width)
	}
	left := l.width - utf8.RuneCountInString(head)
	return cut(head+r.detail(left, now), l.width)
}

// detail fills the rest of a line: a bar when the number of bytes is known, and else for how long the step runs, and what
// it is about.
func (r *barRow) detail(width int, now time.Time) string {
	p := r.progress
	reason := oneLine(value(p.Reason))
	switch {
	case p.Percent == nil && p.BytesDone != nil:
		return bytesText(p)
	case p.Percent == nil:
		return strings.TrimRight(fmt.Sprintf("%-6s  %s", span(now.Sub(r.stepped)), reason), " ")
	}
	if silent := now.Sub(r.told); silent > silence {
		return fmt.Sprintf("%5.1f %%  no news for %s", *p.Percent, span(silent))
	}
	rate, eta := "", ""
	if p.Rate != nil {
		rate = byteSize(*p.Rate).String() + "/s"
	}
	if p.ETA != nil {
		// The estimate goes on between two events; the bytes do not.
		eta = clock(seconds(*p.ETA)-now.Sub(r.told)) + " left"
	}
	numbers := fmt.Sprintf("%5.1f %%  %10s  %-10s", *p.Percent, rate, eta)
	if bar := min(width-utf8.RuneCountInString(numbers), maxBar); bar >= minBar {
		numbers = drawBar(*p.Percent, bar) + numbers
	}
	if with := numbers + "  " + reason; utf8.RuneCountInString(with) <= width {
		numbers = with
	}
	return strings.TrimRight(numbers, " ")
}

// silence is how long no event may come while bytes flow until the numbers are not worth showing any more: several times
// [ironmaster]progress_interval.
const silence = 30 * time.Second

// minBar and maxBar are how many columns a bar takes, brackets and blank included.
const minBar, maxBar = 8, 35

// drawBar is a bar of a width, with a blank behind it.
func drawBar(percent float64, width int) string {
	cells := width - 3
	full := min(cells, max(0, int(float64(cells)*percent/100)))
	text := strings.Repeat("=", full)
	if full < cells {
		text += ">" + strings.Repeat("-", cells-full-1)
	}
	return "[" + text + "] "
}

// fit makes a text exactly as wide as a column.
func fit(text string, width int) string {
	text = cut(text, width)
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// cut shortens a text to a width.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	return string(runes[:max(0, width-1)]) + "~"
}
