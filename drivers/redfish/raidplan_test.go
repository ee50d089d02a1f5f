package redfish

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

const gib = 1 << 30

func someDisks(spec string) []physicalDisk {
	var all []physicalDisk
	for i, s := range strings.Fields(spec) {
		media, size, _ := strings.Cut(s, ":")
		n, err := strconv.Atoi(size)
		if err != nil {
			panic(err)
		}
		name := "d" + strconv.Itoa(i)
		all = append(all, physicalDisk{ID: name, Path: "/d/" + name, Media: media, Protocol: "SAS", Capacity: int64(n) * gib, Controller: "c1"})
	}
	return all
}

func wish(level string, size int, disks ...string) volume {
	return volume{Level: level, Size: int64(size) * gib, Max: size < 0, Disks: disks, disksGiven: len(disks) > 0, controllerFree: true}
}

// The wanted plans are what ironic 21.4 makes of the same disks (_find_configuration).
func TestPlansVolumes(t *testing.T) {
	for name, c := range map[string]struct {
		disks string
		want  []volume
		made  []string // level, disks, size in GiB
		err   string
	}{
		"least disks":       {"HDD:500 HDD:500 HDD:500 HDD:500", []volume{wish("5", 100)}, []string{"5 d0,d1,d2 100"}, ""},
		"mirror":            {"HDD:500 HDD:500 HDD:500", []volume{wish("1", 100)}, []string{"1 d0,d1 100"}, ""},
		"more for the size": {"HDD:100 HDD:100 HDD:100 HDD:100", []volume{wish("0", 250)}, []string{"0 d0,d1,d2 250"}, ""},
		"spanned":           {"HDD:500 HDD:500 HDD:500 HDD:500", []volume{wish("1+0", 100)}, []string{"1+0 d0,d1,d2,d3 100"}, ""},
		"spanned of six":    {"HDD:500 HDD:500 HDD:500 HDD:500 HDD:500 HDD:500 HDD:500", []volume{wish("5+0", 100)}, []string{"5+0 d0,d1,d2,d3,d4,d5 100"}, ""},
		"two":               {"HDD:500 HDD:500 HDD:500 HDD:500 HDD:500", []volume{wish("1", 100), wish("5", 100)}, []string{"5 d2,d3,d4 100", "1 d0,d1 100"}, ""},
		"one kind":          {"HDD:500 SSD:500 HDD:500", []volume{wish("1", 100)}, []string{"1 d0,d2 100"}, ""},
		"named disks":       {"HDD:500 HDD:500 HDD:500", []volume{wish("1", 100, "d1", "d2")}, []string{"1 d1,d2 100"}, ""},
		"all the space":     {"HDD:500 HDD:500", []volume{wish("1", -1, "d0", "d1")}, []string{"1 d0,d1 500"}, ""},
		"too large":         {"HDD:100 HDD:100", []volume{wish("1", 200)}, nil, "failed to find matching physical disks for all logical disks"},
		"named too small":   {"HDD:100 HDD:100", []volume{wish("1", 200, "d0", "d1")}, nil, "is not enough for the size of the logical disk"},
		"too few":           {"HDD:100", []volume{wish("5", 10, "d0")}, nil, "too few for the required number of overhead drives (1)"},
		"odd":               {"HDD:100 HDD:100 HDD:100", []volume{wish("1+0", 10, "d0", "d1", "d2")}, nil, "Spanned RAID volumes cannot contain a single span"},
		"unknown disks":     {"HDD:100", []volume{wish("0", 10, "nope")}, nil, "the number of physical disks provided (0)"},
		"unknown level":     {"HDD:100 HDD:100", []volume{wish("JBOD", 10, "d0")}, nil, `Cannot calculate spans for RAID level "JBOD"`},
	} {
		got, err := plan(c.want, someDisks(c.disks))
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var made []string
		for _, v := range got {
			made = append(made, v.Level+" "+strings.Join(v.Disks, ",")+" "+strconv.FormatInt(v.Size/gib, 10))
			if v.Controller != "c1" {
				t.Errorf("%s: controller %q", name, v.Controller)
			}
		}
		if err == nil && !slices.Equal(made, c.made) {
			t.Errorf("%s: %q, want %q", name, made, c.made)
		}
	}
}

func TestDisksThatAVolumeHasToItselfAreLeftAlone(t *testing.T) {
	disks := someDisks("HDD:500 HDD:500 HDD:500 HDD:500")
	got, err := plan([]volume{wish("1", 100, "d0", "d1"), wish("1", 100)}, disks)
	if err != nil || !slices.Equal(got[1].Disks, []string{"d2", "d3"}) {
		t.Errorf("%+v, %v", got, err)
	}
	shared := wish("1", -1, "d0", "d1")
	shared.share = true
	small := wish("1", 100)
	small.share = true
	got, err = plan([]volume{shared, small}, someDisks("HDD:500 HDD:500"))
	if err != nil || len(got) != 2 || got[1].Size != 400*gib {
		t.Errorf("the rest of shared disks: %+v, %v", got, err)
	}
	ssd := wish("0", 10)
	ssd.diskType = "ssd"
	if got, err := plan([]volume{ssd}, someDisks("HDD:500 SSD:500")); err != nil || got[0].Disks[0] != "d1" {
		t.Errorf("a kind of disks: %+v, %v", got, err)
	}
	three := wish("0", 10)
	three.count = 3
	if got, err := plan([]volume{three}, someDisks("HDD:500 HDD:500 HDD:500 HDD:500")); err != nil || len(got[0].Disks) != 3 {
		t.Errorf("a number of disks: %+v, %v", got, err)
	}
}

// Without a bound this would go on for years.
func TestASearchThatFindsNothingEnds(t *testing.T) {
	var wanted []volume
	for range 12 {
		v := wish("5", 1)
		v.share = true
		wanted = append(wanted, v)
	}
	wanted[11].Size = 1 << 60
	_, err := plan(wanted, someDisks(strings.Repeat("HDD:500 ", 24)))
	if err == nil || !strings.Contains(err.Error(), "failed to find matching physical disks for all logical disks") {
		t.Errorf("got %v", err)
	}
}
