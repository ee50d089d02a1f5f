package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const success = "success"

// name is a test's class and its name in it.
type name struct{ class, test string }

func (n name) String() string { return n.class + "." + n.test }

// results are how tests ended.
type results map[name]result

var (
	testID  = regexp.MustCompile(`\.(\w+)\.(\w+)(?:\[[^\]]*\])?$`)
	classID = regexp.MustCompile(`^(setUpClass|tearDownClass) \([\w.]*?(\w+)\)$`)
)

// nameOf takes class and test out of an id such as ironic_tempest_plugin.tests.api.admin.test_nodes.TestNodes.test_show_node[id-...].
func nameOf(id string) (name, error) {
	if found := classID.FindStringSubmatch(id); found != nil {
		return name{class: found[2], test: found[1]}, nil
	}
	if found := testID.FindStringSubmatch(id); found != nil {
		return name{class: found[1], test: found[2]}, nil
	}
	return name{}, fmt.Errorf("the test %q has no class in its name", id)
}

func (r results) passed() int {
	count := 0
	for _, one := range r {
		if one.Status == success {
			count++
		}
	}
	return count
}

// failures tells of each test that failed what the suite recorded.
func (r results) failures() string {
	var text strings.Builder
	for _, n := range slices.SortedFunc(maps.Keys(r), byName) {
		if one := r[n]; one.Status == "fail" {
			fmt.Fprintf(&text, "=== %s\n", one.ID)
			for _, detail := range slices.Sorted(maps.Keys(one.Details)) {
				fmt.Fprintf(&text, "--- %s\n%s\n", detail, strings.TrimSpace(one.Details[detail]))
			}
		}
	}
	return text.String()
}

func byName(a, b name) int { return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.test, b.test)) }

// why is a skip's reason, or what a failure ended with.
func (r result) why() string {
	if reason := r.Details["reason"]; reason != "" {
		return strings.TrimSpace(reason)
	}
	lines := strings.Split(strings.TrimSpace(r.Details["traceback"]), "\n")
	last := lines[len(lines)-1]
	for i := len(lines) - 1; i >= 0; i-- {
		// The exception's text may have several lines; those of the traceback are indented.
		if strings.HasPrefix(lines[i], " ") {
			break
		}
		last = lines[i]
	}
	return last
}
