package rootdevice

import (
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

const disks = `{"disks": [
	{"name": "/dev/sda", "size": 10737418240, "model": "Big Disk 1", "rotational": true, "serial": "S1", "wwn": ""},
	{"name": "/dev/sdb", "size": 21474836480, "model": "Fast/Disk", "rotational": false, "serial": "S2", "hctl": "0:0:0:0"},
	{"name": "/dev/sdc", "size": 32212254720, "model": "fast disk", "rotational": "no", "serial": "S3"}]}`

func parsed(t *testing.T, text string) store.Dict {
	t.Helper()
	d, err := store.ParseDict([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFind(t *testing.T) {
	var all []store.Dict
	for _, d := range parsed(t, disks).List("disks") {
		all = append(all, d.(map[string]any))
	}
	for _, c := range []struct{ hints, want string }{
		{`{}`, "sda sdb sdc"},
		{`{"name": "/dev/sdb"}`, "sdb"},
		{`{"model": "fast/disk"}`, "sdb"},
		{`{"model": "Fast Disk"}`, "sdc"},
		{`{"model": "<in> disk"}`, "sda sdb sdc"},
		{`{"model": "<in> disk 1"}`, "sda"},
		{`{"model": "<or> fast disk <or> big disk 1"}`, "sda sdc"},
		{`{"serial": "s!= S1"}`, "sdb sdc"},
		{`{"serial": "s>= s2"}`, "sdb sdc"},
		{`{"serial": "s< s2"}`, "sda"},
		{`{"serial": "s<= s2"}`, "sda sdb"},
		{`{"serial": "s> s2"}`, "sdc"},
		{`{"serial": "s== s3"}`, "sdc"},
		{`{"rotational": false}`, "sdb sdc"},
		{`{"rotational": "yes"}`, "sda"},
		{`{"size": 20}`, "sdb"},
		{`{"size": "= 20"}`, "sdb sdc"},
		{`{"size": "== 20"}`, "sdb"},
		{`{"size": "!= 20"}`, "sda sdc"},
		{`{"size": "> 20"}`, "sdc"},
		{`{"size": ">= 20", "rotational": "0"}`, "sdb sdc"},
		{`{"size": "<= 20"}`, "sda sdb"},
		{`{"size": "<or> 10 <or> 30"}`, "sda sdc"},
		{`{"wwn": "0x5000"}`, ""},
		{`{"hctl": "none"}`, "sda sdc"},
		{`{"model": "= ="}`, ""},
		{`{"model": "<in> <in>"}`, ""},
	} {
		found, err := Find(all, parsed(t, c.hints))
		if err != nil {
			t.Errorf("%s: %v", c.hints, err)
		}
		var names []string
		for _, d := range found {
			names = append(names, strings.TrimPrefix(d.String("name"), "/dev/"))
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s found %q, want %q", c.hints, got, c.want)
		}
	}
}

func TestHintsThatAreRefused(t *testing.T) {
	for hints, want := range map[string]string{
		`{"colour": "red"}`: `The hints "colour" are invalid. Valid hints are: "size, model, wwn, serial, vendor, wwn_with_extension, ` +
			`wwn_vendor_extension, name, rotational, hctl, by_path"`,
		`{"model": 5}`:            `Root device hint "model" is not a string value. Hint expression: 5`,
		`{"rotational": "maybe"}`: `Root device hint "rotational" is not a Boolean value. Current value: maybe`,
		`{"size": "big"}`:         `Root device hint "size" is not an integer value. Current value: big`,
		`{"size": "<or> -1"}`:     `Root device hint "size" should be a positive integer. Current value: <or> -1`,
		`{"model": ">= 5"}`:       `Root device hint "model" compares numbers, and "x" or "5" is none`,
		`{"model": "<all-in> a"}`: `Root device hint "model" has an operator that disks are not compared by: <all-in>`,
		`{"size": 5}`:             `Root device hint "size" cannot be compared with a disk of unknown size`,
	} {
		_, err := Find([]store.Dict{{"model": "x", "size": nil}}, parsed(t, hints))
		if err == nil || err.Error() != want || store.KindOf(err) != store.InvalidParameterValue {
			t.Errorf("%s: %v, want %s", hints, err, want)
		}
	}
}

// What is no number is none of the numbers, in Python too.
func TestNoNumberIsLikeAnother(t *testing.T) {
	for expression, want := range map[string]bool{"== nan": false, "= nan": false, "<= nan": false, "!= nan": true, "== 5": true, "= 6": false} {
		found, err := Find([]store.Dict{{"serial": "5"}}, store.Dict{"serial": expression})
		if err != nil || (len(found) == 1) != want {
			t.Errorf("%s: %v, %v", expression, found, err)
		}
	}
}

// FuzzFind feeds what users may write into hints, and what agents may tell of disks.
func FuzzFind(f *testing.F) {
	for _, hints := range []string{`{}`, `null`, `{"size": ">= 20", "rotational": "0"}`, `{"model": "<or> fast disk <or> big disk 1"}`,
		`{"serial": "s!= S1"}`, `{"model": "<in> <in>"}`, `{"size": "<or> -1"}`, `{"model": ">= 5"}`, `{"wwn": {"a": []}}`, `{"size": 1e400}`} {
		f.Add(hints, disks)
	}
	f.Add(`{"size": 5, "name": "none"}`, `{"disks": [{"size": null}, {"size": "5"}, {"size": 1e400, "name": 7, "rotational": []}]}`)
	f.Fuzz(func(t *testing.T, hints, disks string) {
		asked, err := store.ParseDict([]byte(hints))
		if err != nil {
			return
		}
		told, err := store.ParseDict([]byte(disks))
		if err != nil {
			return
		}
		var all []store.Dict
		for _, d := range told.List("disks") {
			if disk, ok := d.(map[string]any); ok {
				all = append(all, disk)
			}
		}
		found, err := Find(all, asked)
		if err != nil && store.KindOf(err) != store.InvalidParameterValue || len(found) > len(all) {
			t.Errorf("%s with %s: %d disks, %v", hints, disks, len(found), err)
		}
		if len(asked) == 0 && (err != nil || len(found) != len(all)) {
			t.Errorf("no hints found %d of %d disks, %v", len(found), len(all), err)
		}
	})
}
