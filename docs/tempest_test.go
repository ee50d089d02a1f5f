package docs

import (
	"strconv"
	"strings"
	"testing"
)

// TestTempestPage holds the results in docs/tempest.md together: the counts add up, no class has fewer passes with Ironmaster than with
// Python's conductor, and each test that does not pass with both is named with a reason.
func TestTempestPage(t *testing.T) {
	_, sections, found := strings.Cut(read(t, "docs/tempest.md"), "\n## ironic ")
	if !found {
		t.Fatal("docs/tempest.md has no results")
	}
	for section := range strings.SplitSeq(sections, "\n## ironic ") {
		release, _, _ := strings.Cut(section, "\n")
		var sum, all [3]int
		for _, row := range table(t, section, "| class | tests | pass with Python's | pass with Ironmaster |") {
			var counts [3]int
			for i := range counts {
				n, err := strconv.Atoi(row[i+1])
				if err != nil {
					t.Fatalf("ironic %s, class %s: %q is no number", release, row[0], row[i+1])
				}
				counts[i] = n
			}
			if counts[2] < counts[1] {
				t.Errorf("ironic %s, class %s: %d pass with Ironmaster, %d with Python's conductor", release, row[0], counts[2], counts[1])
			}
			if row[0] == "all" {
				all = counts
				continue
			}
			for i := range sum {
				sum[i] += counts[i]
			}
		}
		if sum != all || all[0] == 0 {
			t.Errorf("ironic %s: the classes add up to %v, the last line has %v", release, sum, all)
		}
		named := 0
		if strings.Contains(section, "\n| test |") {
			for _, row := range table(t, section, "| test | with Python's | with Ironmaster | why |") {
				if named++; row[3] == "" {
					t.Errorf("ironic %s: nothing tells why %s does not pass", release, row[0])
				}
			}
		}
		if missing := all[0] - min(all[1], all[2]); named < missing {
			t.Errorf("ironic %s: %d tests do not pass with both, %d are named", release, missing, named)
		}
	}
}
