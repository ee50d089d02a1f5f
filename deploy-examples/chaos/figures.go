package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// kill is one end of a worker without warning.
type kill struct {
	host     string
	at, back time.Time
	// deploying is how many deployments were under way, interrupted the nodes that the worker was just working on.
	deploying   int
	interrupted map[string]bool
}

// newKill notes a kill with where the nodes stand just after.
func newKill(host string, at time.Time, rows map[string]row) *kill {
	k := &kill{host: host, at: at, interrupted: map[string]bool{}}
	for node, r := range rows {
		if slices.Contains(underWay, r.state) || slices.Contains(waiting, r.state) {
			k.deploying++
		}
		if r.interruptedAt(host) {
			k.interrupted[node] = true
		}
	}
	return k
}

// resumed is a line in a worker's log: it goes on with a flow that was cut short.
type resumed struct {
	host, node string
	at         time.Time
	kind       string
}

// kindTakeover is the kind of another worker's flow; all others are the worker's own.
const kindTakeover = "takeover"

// readResumes finds in a log when flows were resumed.
func readResumes(file, host string) ([]resumed, error) {
	log, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the log of %s: %w", host, err)
	}
	defer log.Close()
	var found []resumed
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var line struct {
			Time    time.Time `json:"time"`
			Message string    `json:"message"`
			Node    string    `json:"node"`
			Kind    string    `json:"kind"`
		}
		// Python's conductor logs otherwise, and a killed one may leave half a line.
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "Resuming a flow" {
			found = append(found, resumed{host, line.Node, line.Time, line.Kind})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the log of %s: %w", host, err)
	}
	return found, nil
}

// figures are those of one program.
type figures struct {
	tally     tally
	reasons   reasons
	killsMade []*kill
	resumes   []resumed

	kills, deploying, interrupted int
	// cutShort are interrupted flows whose next worker was killed before it came to them.
	cutShort int
	// sameFromKill and sameFromBack are the times until the same worker went on, from its end and from its new beginning;
	// takeover those until a peer did.
	sameFromKill, sameFromBack, takeover []time.Duration
}

type reasons map[string]int

// account makes times of the kills and resumes of a site, and forgets them.
func (f *figures) account() {
	slices.SortFunc(f.resumes, func(a, b resumed) int { return a.at.Compare(b.at) })
	for i, k := range f.killsMade {
		f.kills++
		f.deploying += k.deploying
		f.interrupted += len(k.interrupted)
		for node := range k.interrupted {
			again := slices.IndexFunc(f.killsMade[i+1:], func(k *kill) bool { return k.interrupted[node] })
			n := slices.IndexFunc(f.resumes, func(r resumed) bool { return r.node == node && r.at.After(k.at) })
			switch {
			case n < 0, again >= 0 && f.killsMade[i+1+again].at.Before(f.resumes[n].at):
				f.cutShort++
			case f.resumes[n].kind == kindTakeover:
				f.takeover = append(f.takeover, f.resumes[n].at.Sub(k.at))
			default:
				f.sameFromKill = append(f.sameFromKill, f.resumes[n].at.Sub(k.at))
				f.sameFromBack = append(f.sameFromBack, f.resumes[n].at.Sub(k.back))
			}
		}
	}
	f.killsMade, f.resumes = nil, nil
}

// percentile returns the smallest value that so many percent do not exceed.
func percentile(values []time.Duration, percent int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

const (
	// backLimit and takeoverExpected are within what flows have to go on.
	backLimit        = 2 * time.Second
	takeoverExpected = deadAfter + 5*time.Second
)

// line is a row of the table.
type line struct {
	text string
	show func(*figures) string
	// short tells whether Ironmaster's figure is not what it has to be.
	short func(*figures) bool
	want  string
}

func count(text string, value func(*figures) int, mustBeNone bool) line {
	l := line{text: text, show: func(f *figures) string { return fmt.Sprint(value(f)) }}
	if mustBeNone {
		l.want = "0"
		l.short = func(f *figures) bool { return value(f) > 0 }
	}
	return l
}

func times(text string, values func(*figures) []time.Duration, percent int, limit time.Duration) line {
	l := line{text: fmt.Sprintf("%s, p%d", text, percent), show: func(f *figures) string {
		if len(values(f)) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2f s", percentile(values(f), percent).Seconds())
	}}
	if limit > 0 {
		l.want = fmt.Sprintf("<= %g s", limit.Seconds())
		// Without any there is nothing to be seen, which is not what was wanted either.
		l.short = func(f *figures) bool { return len(values(f)) == 0 || percentile(values(f), percent) > limit }
	}
	return l
}

var table = []line{
	count("kills", func(f *figures) int { return f.kills }, false),
	count("deployments under way at kills", func(f *figures) int { return f.deploying }, false),
	count("    of them in the killed worker's hands", func(f *figures) int { return f.interrupted }, false),
	count("    of these killed again before resumed", func(f *figures) int { return f.cutShort }, false),
	count("deployments", func(f *figures) int { return f.tally.deployments }, false),
	count("    ended active", func(f *figures) int { return f.tally.active }, false),
	count("    failed", func(f *figures) int { return f.tally.failed }, true),
	count("    left behind, moved by nobody", func(f *figures) int { return f.tally.left }, true),
	count("images rewritten after a read-back", func(f *figures) int { return f.tally.rewritten }, false),
	count("images written twice without read-back", func(f *figures) int { return f.tally.blind }, true),
	count("disks that differ from the image", func(f *figures) int { return f.tally.wrong }, true),
	count("active nodes without an end notification", func(f *figures) int { return f.tally.unannounced }, true),
	count("    with more than one", func(f *figures) int { return f.tally.repeated }, true),
	count("locks left", func(f *figures) int { return f.tally.locks }, true),
	times("same worker: kill to resumed step", func(f *figures) []time.Duration { return f.sameFromKill }, 50, 0),
	times("same worker: kill to resumed step", func(f *figures) []time.Duration { return f.sameFromKill }, 99, 0),
	times("    process back to resumed step", func(f *figures) []time.Duration { return f.sameFromBack }, 50, 0),
	times("    process back to resumed step", func(f *figures) []time.Duration { return f.sameFromBack }, 99, backLimit),
	times("takeover: kill to resumed step", func(f *figures) []time.Duration { return f.takeover }, 50, 0),
	times("takeover: kill to resumed step", func(f *figures) []time.Duration { return f.takeover }, 99, takeoverExpected),
}

// report prints the figures of both programs beside each other. It returns an error when Ironmaster's are not as they must be.
func report(out io.Writer, seed uint64, results map[string]*figures) error {
	const format = "%-44s %12s %12s   %-9s %s\n"
	fmt.Fprintf(out, "\nseed %d, heartbeat_timeout %s\n\n", seed, deadAfter)
	fmt.Fprintf(out, format, "", python, ironmaster, "expected", "")
	short := 0
	for _, l := range table {
		cells, verdict := map[string]string{}, ""
		for name, f := range results {
			cells[name] = l.show(f)
		}
		if f := results[ironmaster]; f != nil && l.short != nil {
			verdict = "ok"
			if l.short(f) {
				verdict = "short"
				short++
			}
		}
		fmt.Fprintf(out, format, l.text, cmp.Or(cells[python], "-"), cmp.Or(cells[ironmaster], "-"), l.want, verdict)
	}
	for _, name := range slices.Sorted(maps.Keys(results)) {
		for _, reason := range slices.Sorted(maps.Keys(results[name].reasons)) {
			fmt.Fprintf(out, "\n%s, %d failed: %s", name, results[name].reasons[reason], strings.TrimSpace(reason))
		}
	}
	fmt.Fprintln(out)
	if short > 0 {
		return fmt.Errorf("%d figures: %w", short, errShort)
	}
	return nil
}
