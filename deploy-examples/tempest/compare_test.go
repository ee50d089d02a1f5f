package main

import (
	"strings"
	"testing"
)

// recorded is what read_subunit.py makes of two runs.
const (
	withPython = `{"id": "ironic_tempest_plugin.tests.api.admin.test_nodes.TestNodes.test_show_node[id-1,negative]", "status": "success", "details": {}}
{"id": "ironic_tempest_plugin.tests.api.admin.test_nodes.TestNodes.test_list_nodes[id-2]", "status": "success", "details": {}}
{"id": "setUpClass (ironic_tempest_plugin.tests.api.admin.test_nodes.TestNodesVif)", "status": "skip", "details": {"reason": "Neutron is not enabled."}}
{"id": "ironic_tempest_plugin.tests.api.admin.test_ports.TestPorts.test_port", "status": "fail", "details": {"traceback": "Traceback (most recent call last):\n  File \"x\"\nValueError: a | b\n"}}
`
	withIronmaster = `{"id": "ironic_tempest_plugin.tests.api.admin.test_nodes.TestNodes.test_show_node[id-1,negative]", "status": "success", "details": {}}
{"id": "ironic_tempest_plugin.tests.api.admin.test_nodes.TestNodes.test_list_nodes[id-2]", "status": "fail", "details": {"traceback": "Traceback (most recent call last):\n  File \"x\"\ntempest.lib.exceptions.NotFound: Object not found\nDetails: gone"}}
{"id": "ironic_tempest_plugin.tests.api.admin.test_ports.TestPorts.test_port", "status": "success", "details": {}}
`
)

func compared(t *testing.T) comparison {
	t.Helper()
	var both [2]results
	for i, lines := range []string{withPython, withIronmaster} {
		found, err := readResults([]byte(lines))
		if err != nil {
			t.Fatal(err)
		}
		both[i] = found
	}
	return compare(both[0], both[1])
}

func TestComparisonCountsAndNamesWhatDoesNotPass(t *testing.T) {
	all := compared(t)
	want := `| class | tests | pass with Python's | pass with Ironmaster |
|---|---|---|---|
| TestNodes | 2 | 2 | 1 |
| TestNodesVif | 1 | 0 | 0 |
| TestPorts | 1 | 0 | 1 |
| all | 4 | 2 | 2 |
`
	if got := all.table(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	want = `| test | with Python's | with Ironmaster | why |
|---|---|---|---|
| TestNodes.test_list_nodes | success | fail | tempest.lib.exceptions.NotFound: Object not found |
| TestNodesVif.setUpClass | skip | did not run | Neutron is not enabled. |
| TestPorts.test_port | fail | success | ValueError: a \| b |
`
	if got := all.exceptions(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestVerdictMindsWhatPassesWithPythonAlone(t *testing.T) {
	all := compared(t)
	if err := all.verdict(); err == nil || !strings.Contains(err.Error(), "TestNodes.test_list_nodes") ||
		strings.Contains(err.Error(), "TestPorts") || strings.Contains(err.Error(), "TestNodesVif") {
		t.Errorf("got %v, want an error that names TestNodes.test_list_nodes alone", err)
	}
	found, err := readResults([]byte(withPython))
	if err != nil {
		t.Fatal(err)
	}
	if err := compare(found, found).verdict(); err != nil {
		t.Errorf("equal results: %v", err)
	}
}

func TestSectionOfAReleaseIsReplaced(t *testing.T) {
	all := compared(t)
	page := withSection("# Tests\n\nWords.\n", "21.4", all)
	page = withSection(page, "29.0", all)
	for range 2 {
		page = withSection(page, "21.4", all[:2])
	}
	first, second, found := strings.Cut(page, "\n## ironic 29.0\n")
	if !found || !strings.HasPrefix(first, "# Tests\n\nWords.\n\n## ironic 21.4\n\n| class |") || strings.Contains(first, "TestPorts") ||
		!strings.Contains(second, "TestPorts") || strings.Count(page, "## ironic") != 2 {
		t.Errorf("got the page\n%s", page)
	}
}

func TestResultsThatCannotBeReadAreRefused(t *testing.T) {
	for _, lines := range []string{`{"id": "process-returncode", "status": "fail", "details": {}}`, `{"id": 1}`, `{`} {
		if found, err := readResults([]byte(lines)); err == nil {
			t.Errorf("%s was read as %v", lines, found)
		}
	}
}
