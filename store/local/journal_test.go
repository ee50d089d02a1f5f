package local

import (
	"strings"
	"testing"
)

type attempt struct {
	Command string `json:"command"`
	Tries   int    `json:"tries"`
}

func TestJournalRemembers(t *testing.T) {
	path := testPath(t)
	d := open(t, path, Options{})
	want := attempt{"write_image", 2}
	must(t, d.Put("n1", "step", attempt{"erase", 1}))
	must(t, d.Put("n1", "step", want))
	must(t, d.Put("n1", "cursor", 7))
	must(t, d.Put("n2", "step", want))
	for _, d := range []*DB{d, crashed(t, d)} {
		var got attempt
		if ok, err := d.Get("n1", "step", &got); !ok || err != nil || got != want {
			t.Errorf("got %v, %v, %v", ok, got, err)
		}
		got = attempt{Tries: 9}
		for _, missing := range [][2]string{{"n1", "other"}, {"n3", "step"}} {
			if ok, err := d.Get(missing[0], missing[1], &got); ok || err != nil || got.Tries != 9 {
				t.Errorf("missing entry: %v, %v, %v", ok, got, err)
			}
		}
		must(t, d.Forget("n1"))
		must(t, d.Forget("n1"))
		for node, kept := range map[string]bool{"n1": false, "n2": true} {
			if ok, err := d.Get(node, "step", &got); ok != kept || err != nil {
				t.Errorf("after forgetting n1, %s has an entry: %v, %v", node, ok, err)
			}
		}
	}
}

func TestJournalErrorsNameTheEntry(t *testing.T) {
	d := open(t, testPath(t), Options{})
	must(t, d.Put("node-1", "step", "text"))
	var number int
	_, mismatch := d.Get("node-1", "step", &number)
	for name, err := range map[string]error{
		"a value that is no JSON": d.Put("node-1", "step", func() {}),
		"no key":                  d.Put("node-1", "", 1),
		"an endless key":          d.Put("node-1", strings.Repeat("step", 10_000), 1),
		"another kind of value":   mismatch,
	} {
		if err == nil || !strings.Contains(err.Error(), "node-1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.Put("", "step", 1); err == nil {
		t.Error("an entry of no node")
	}
}
