package config

import "testing"

func TestQualifiedNamePrefersDots(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"c1.example.org", "c1"}, "c1.example.org"},
		{[]string{"c1", "c1.example.org."}, "c1.example.org"},
		{[]string{"c1."}, "c1"},
	} {
		if got := qualified(c.names); got != c.want {
			t.Errorf("qualified(%q) = %q, want %q", c.names, got, c.want)
		}
	}
}
