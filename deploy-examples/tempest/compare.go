package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// comparison is every test that ran with either conductor.
type comparison []pair

// pair is one test with both conductors; one that did not run has an empty status.
type pair struct {
	name
	python, ironmaster result
}

func compare(python, ironmaster results) comparison {
	names := maps.Clone(python)
	maps.Copy(names, ironmaster)
	var all comparison
	for _, n := range slices.SortedFunc(maps.Keys(names), byName) {
		all = append(all, pair{name: n, python: python[n], ironmaster: ironmaster[n]})
	}
	return all
}

// worse tells whether the test passes with Python's conductor alone.
func (p pair) worse() bool { return p.python.Status == success && p.ironmaster.Status != success }

// count is how the tests of a class came out.
type count struct {
	class                     string
	tests, python, ironmaster int
}

// classes counts by class, with a last line for all of them.
func (c comparison) classes() []count {
	var counts []count
	sum := count{class: "all"}
	for _, p := range c {
		if len(counts) == 0 || counts[len(counts)-1].class != p.class {
			counts = append(counts, count{class: p.class})
		}
		for _, to := range []*count{&counts[len(counts)-1], &sum} {
			to.tests++
			if p.python.Status == success {
				to.python++
			}
			if p.ironmaster.Status == success {
				to.ironmaster++
			}
		}
	}
	return append(counts, sum)
}

// table is the passes of each class as a Markdown table.
func (c comparison) table() string {
	var text strings.Builder
	text.WriteString("| class | tests | pass with Python's | pass with Ironmaster |\n|---|---|---|---|\n")
	for _, n := range c.classes() {
		fmt.Fprintf(&text, "| %s | %d | %d | %d |\n", n.class, n.tests, n.python, n.ironmaster)
	}
	return text.String()
}

// exceptions is a Markdown table of the tests that do not pass with both.
func (c comparison) exceptions() string {
	var text strings.Builder
	for _, p := range c {
		if p.python.Status == success && p.ironmaster.Status == success {
			continue
		}
		of := p.ironmaster
		if of.Status == "" || of.Status == success {
			of = p.python
		}
		if text.Len() == 0 {
			text.WriteString("| test | with Python's | with Ironmaster | why |\n|---|---|---|---|\n")
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", p.name, told(p.python), told(p.ironmaster), strings.ReplaceAll(of.why(), "|", `\|`))
	}
	return text.String()
}

func told(r result) string {
	if r.Status == "" {
		return "did not run"
	}
	return r.Status
}

// verdict is an error when a test passes with Python's conductor and not with Ironmaster.
func (c comparison) verdict() error {
	var worse []string
	for _, p := range c {
		if p.worse() {
			worse = append(worse, p.String())
		}
	}
	if worse == nil {
		return nil
	}
	return fmt.Errorf("%d tests pass with Python's conductor and not with Ironmaster: %s", len(worse), strings.Join(worse, ", "))
}
