package conductor

import "testing"

func TestTextsAreCutAtACharacter(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{{"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aé", 2, "a"}, {"日本", 4, "日"}, {"abc", 0, "abc"}} {
		got := c.text
		truncate(&got, c.limit)
		equal(t, c.text, got, c.want)
	}
}
