package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// unit says how a figure is shown, and how benchstat names it.
type unit struct {
	format string
	// per is what one unit shown is worth in the unit recorded.
	per float64
	// benchmark is the unit in a file for benchstat, and benchmarkPer one of it in the unit recorded.
	benchmark    string
	benchmarkPer float64
}

var (
	seconds      = unit{"%.3f s", 1, "ns/op", 1e-9}
	milliseconds = unit{"%.2f ms", 1e-3, "ns/op", 1e-9}
	mebibytes    = unit{"%.1f MiB", 1 << 20, "B", 1}
	perSecond    = unit{"%.0f /s", 1, "calls/s", 1}
	throughput   = unit{"%.0f MiB/s", 1 << 20, "B/s", 1}
	count        = unit{"%.0f", 1, "count", 1}
)

// row is a line of the table.
type row struct {
	text        string
	measurement string
	unit        unit
	// times is how many times better Ironmaster is expected to be; 0 expects nothing.
	times float64
	// more tells that a larger figure is the better one.
	more bool
}

// rows are what the table shows, in order; the expectations are those that the project set itself.
func rows() []row {
	all := []row{
		{"process start to first RPC answered", "start", seconds, 20, false},
		{"memory (RSS), idle", "idle-memory", mebibytes, 4, false},
		{"deployments at once", "crowd", count, 0, false},
		{"memory (RSS), peak with these", "crowd-memory", mebibytes, 0, false},
		{"time until all were under way", "crowd-time", seconds, 0, false},
	}
	for _, k := range kinds {
		for _, n := range callers {
			name, text := fmt.Sprintf("%s-%d", k.name, n), fmt.Sprintf("%s, %d callers", k.method, n)
			if n == 1 {
				text = strings.TrimSuffix(text, "s")
			}
			times := 0.0
			if k.name == "light" && n == 64 {
				times = 20
			}
			all = append(all,
				row{text, name + "-rate", perSecond, times, true},
				row{"    p50", name + "-p50", milliseconds, 0, false},
				row{"    p99", name + "-p99", milliseconds, times, false},
				row{"    CPU of a call", name + "-cpu", milliseconds, 0, false})
		}
	}
	all = append(all,
		row{fmt.Sprintf("CPU of %d cycles", cycles), "cycles-cpu", seconds, 15, false},
		row{"    time", "cycles-time", seconds, 0, false},
		row{"    SQL statements of a cycle", "cycle-statements", count, 0, false})
	for _, n := range fleets {
		name := fmt.Sprintf("sync-%d", n)
		all = append(all,
			row{fmt.Sprintf("CPU of a power sync of %d nodes", n), name + "-cpu", seconds, 0, false},
			row{"    of a node", name + "-node-cpu", milliseconds, 30, false},
			row{"    time", name + "-time", seconds, 0, false})
	}
	for _, n := range tftpReaders {
		text := fmt.Sprintf("TFTP (python: tftpd-hpa), %d readers", n)
		if n == 1 {
			text = strings.TrimSuffix(text, "s")
		}
		all = append(all, row{text, fmt.Sprintf("tftp-%d-rate", n), throughput, 0, true})
	}
	return all
}

// verdict compares the figures of a row: how many times better Ironmaster is, and whether that is what was expected.
func (r row) verdict(python, ironmaster float64) (times float64, short bool) {
	better, worse := ironmaster, python
	if r.more {
		better, worse = python, ironmaster
	}
	if better <= 0 {
		// Less than can be measured.
		return 0, false
	}
	times = worse / better
	return times, r.times > 0 && times < r.times
}

// report prints the table, writes files for benchstat and returns how many figures fall short.
func (b *bench) report(dir string) (short int, err error) {
	fmt.Fprintf(b.out, "\n%s\n\n", machine())
	short = b.printTable(b.out)
	for name, figures := range b.results {
		if err := os.WriteFile(filepath.Join(dir, name+".txt"), benchmarks(figures), 0o644); err != nil {
			return short, err
		}
	}
	fmt.Fprintf(b.out, "\nFor benchstat: %s\n", filepath.Join(dir, "*.txt"))
	return short, nil
}

// machine says what the figures were taken on.
func machine() string {
	model := "processors"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d x %s, shared by conductor, RabbitMQ, MariaDB and callers.", runtime.NumCPU(), model)
}

// printTable writes a line for each row that was measured, and returns how many fall short.
func (b *bench) printTable(out io.Writer) (short int) {
	const line = "%-42s %12s %12s %9s %9s  %s\n"
	fmt.Fprintf(out, line, "", python, ironmaster, "ratio", "expected", "")
	for _, r := range rows() {
		old, haveOld := b.results[python][r.measurement]
		ours, haveOurs := b.results[ironmaster][r.measurement]
		if !haveOld && !haveOurs {
			continue
		}
		ratio, verdict := "", ""
		if haveOld && haveOurs {
			times, isShort := r.verdict(old, ours)
			ratio = r.ratio(times)
			switch {
			case isShort:
				short++
				verdict = "short"
			case r.times > 0:
				verdict = "ok"
			}
		}
		fmt.Fprintf(out, line, r.text, r.show(old, haveOld), r.show(ours, haveOurs), ratio, r.expectation(), verdict)
	}
	return short
}

func (r row) show(value float64, have bool) string {
	if !have {
		return "-"
	}
	return fmt.Sprintf(r.unit.format, value/r.unit.per)
}

// ratio writes how many times better a figure is the way that it is meant: a multiple of a rate, a fraction of a cost.
func (r row) ratio(times float64) string {
	switch {
	case times == 0 || r.unit == count:
		return ""
	case r.more:
		return fmt.Sprintf("%.1f x", times)
	}
	return fmt.Sprintf("1/%.1f", times)
}

func (r row) expectation() string {
	switch {
	case r.times == 0:
		return ""
	case r.more:
		return fmt.Sprintf(">= %g x", r.times)
	}
	return fmt.Sprintf("<= 1/%g", r.times)
}

// benchmarks writes figures in the format of go test -bench.
func benchmarks(figures map[string]float64) []byte {
	var text strings.Builder
	for _, r := range rows() {
		if value, ok := figures[r.measurement]; ok {
			fmt.Fprintf(&text, "Benchmark%s 1 %g %s\n", camel(r.measurement), value/r.unit.benchmarkPer, r.unit.benchmark)
		}
	}
	return []byte(text.String())
}

// camel makes Light16P50 of light-16-p50: benchstat takes a dash and a number at the end for GOMAXPROCS.
func camel(name string) string {
	var text strings.Builder
	for word := range strings.SplitSeq(name, "-") {
		text.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return text.String()
}
