package local

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// noon is when the tests begin; moments are told apart by the seconds since.
var noon = time.Now().UTC().Truncate(time.Second)

func at(second int) time.Time { return noon.Add(time.Duration(second) * time.Second) }

func turn(second int, text string) Moment {
	return Moment{At: at(second), Kind: "state", Text: text, Turn: true}
}

func routine(second int, text, result string) Moment {
	return Moment{At: at(second), Kind: "bmc", Text: text, Result: result}
}

// told is a timeline in words.
func told(t *testing.T, d *DB, node string) []string {
	t.Helper()
	moments, err := d.Timeline(node)
	must(t, err)
	var lines []string
	for _, m := range moments {
		lines = append(lines, fmt.Sprintf("%d %s %s x%d %d", int(m.At.Sub(noon).Seconds()), m.Text, m.Result, m.Count,
			int(m.Last.Sub(noon).Seconds())))
	}
	return lines
}

func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestTimelineTellsWhatIsAlikeOnceInEachStretch(t *testing.T) {
	d := open(t, testPath(t), Options{})
	for _, m := range []Moment{
		routine(0, "GET", "200"), turn(1, "deploying"), routine(2, "GET", "503"), routine(3, "POST", "204"),
		routine(4, "GET", "200"), turn(5, "wait"), turn(6, "wait"), routine(7, "GET", "200"),
	} {
		d.Note("n1", m)
	}
	want := []string{"0 GET 200 x1 0", "1 deploying  x1 1", "2 GET 200 x2 4", "3 POST 204 x1 3", "5 wait  x2 6", "7 GET 200 x1 7"}
	expect(t, "in memory", told(t, d, "n1"), want)
	must(t, d.writeTimelines())
	expect(t, "once written", told(t, d, "n1"), want)
	expect(t, "of another node", told(t, d, "n2"), nil)
	d.Note("n1", routine(8, "GET", "200"))
	must(t, d.writeTimelines())
	want[5] = "7 GET 200 x2 8"
	expect(t, "after a crash", told(t, crashed(t, d), "n1"), want)
}

func TestTimelineTravelsWithOtherCommits(t *testing.T) {
	d := open(t, testPath(t), Options{})
	d.Note("n1", turn(1, "deploying"))
	must(t, d.Put("n2", "key", 1))
	expect(t, "after a crash", told(t, crashed(t, d), "n1"), []string{"1 deploying  x1 1"})
}

func TestTimelineIsWrittenByItself(t *testing.T) {
	d := open(t, testPath(t), Options{})
	d.Note("n1", turn(1, "deploying"))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		written := false
		must(t, d.view(func(tx *bbolt.Tx) error {
			written = tx.Bucket(timelineBucket).Bucket([]byte("n1")) != nil
			return nil
		}))
		if written {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was written")
		}
	}
}

func TestTimelineOutlivesAFailedCommit(t *testing.T) {
	d := open(t, testPath(t), Options{})
	d.Note("n1", turn(1, "deploying"))
	broken := errors.New("broken")
	if err := d.commit(func(*transaction) error { return broken }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	d.timelines.putBack(d.timelines.load(lift))
	must(t, d.Close())
	again := open(t, d.path, Options{})
	expect(t, "after the next start", told(t, again, "n1"), []string{"1 deploying  x1 1"})
}

func TestTimelineKeepsTheNewest(t *testing.T) {
	d := open(t, testPath(t), Options{})
	const more = timelineLength + 20
	for i := range more {
		d.Note("n1", turn(i, fmt.Sprint("turn ", i)))
		if i%50 == 0 {
			must(t, d.writeTimelines())
		}
	}
	must(t, d.writeTimelines())
	got := told(t, d, "n1")
	if len(got) != timelineLength || got[0] != "20 turn 20  x1 20" || got[len(got)-1] != fmt.Sprintf("%d turn %d  x1 %d", more-1, more-1, more-1) {
		t.Errorf("kept %d, from %q to %q", len(got), got[0], got[len(got)-1])
	}
	if n := len(d.timelines.nodes["n1"]); n > stretchLength {
		t.Errorf("%d moments are in memory", n)
	}
}

func TestTimelineIsForgottenWithItsNode(t *testing.T) {
	d := open(t, testPath(t), Options{})
	d.Note("n1", turn(1, "deploying"))
	must(t, d.writeTimelines())
	d.Note("n1", turn(2, "active"))
	d.Note("n2", turn(3, "active"))
	must(t, d.Forget("n1"))
	must(t, d.writeTimelines())
	expect(t, "forgotten", told(t, d, "n1"), nil)
	expect(t, "of another node", told(t, d, "n2"), []string{"3 active  x1 3"})
}

// A node may be forgotten while a commit carries what happened to it. Nothing of it waits to be written then, whichever way the
// commit ends: the file would be written every second for nothing, or what comes next not at all.
func TestTimelineIsForgottenUnderWay(t *testing.T) {
	for name, end := range map[string]func(*timelines, []carried){
		"landed": func(l *timelines, load []carried) { l.landed(load[0].entry, 1) },
		"failed": (*timelines).putBack,
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, testPath(t), Options{})
			must(t, d.Close())
			l := &d.timelines
			d.Note("n1", routine(1, "GET", "200"))
			load := l.load(1)
			d.Note("n1", routine(2, "GET", "200"))
			l.forget("n1")
			end(l, load)
			if l.due(at(0)) || len(l.waiting) != 0 {
				t.Errorf("%d moments and the nodes %q wait to be written", l.fresh, l.waiting)
			}
			if d.Note("n2", turn(3, "deploying")); !l.due(at(0)) {
				t.Error("what comes next does not")
			}
		})
	}
}

func TestOldTimelinesGoAtAStart(t *testing.T) {
	path := testPath(t)
	d := open(t, path, Options{})
	d.Note("old", turn(1, "active"))
	d.Note("new", Moment{At: at(0).Add(timelineKeep), Kind: "state", Text: "active", Turn: true})
	must(t, d.Close())
	later := open(t, path, Options{Now: func() time.Time { return at(2).Add(timelineKeep) }})
	expect(t, "not heard of for long", told(t, later, "old"), nil)
	if len(told(t, later, "new")) != 1 {
		t.Error("a node that was heard of is forgotten")
	}
}

// TestFileOfAnEarlierVersion opens a file that knows no timelines, for reading and for work.
func TestFileOfAnEarlierVersion(t *testing.T) {
	path := testPath(t)
	d := open(t, path, Options{})
	must(t, d.Put("n1", "key", 1))
	must(t, d.Close())
	bolt, err := bbolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, bolt.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(timelineBucket) }))
	must(t, bolt.Close())
	reader, err := OpenReadOnly(path)
	must(t, err)
	expect(t, "without timelines", told(t, reader, "n1"), nil)
	must(t, reader.Close())
	writer := open(t, path, Options{})
	writer.Note("n1", turn(1, "active"))
	must(t, writer.writeTimelines())
	expect(t, "from now on", told(t, writer, "n1"), []string{"1 active  x1 1"})
	var value int
	if ok, err := writer.Get("n1", "key", &value); !ok || err != nil || value != 1 {
		t.Errorf("the journal: %v, %v, %d", ok, err, value)
	}
}
