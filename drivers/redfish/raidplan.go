package redfish

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// raidLevel is what a level of ironic's takes. Spanned levels are made of spans of another.
type raidLevel struct {
	name, redfish  string
	least, most    int
	overhead       int
	span           string
	evenDisksAlone bool
}

// raidLevels are those that Redfish and ironic both know, in ironic's order.
var raidLevels = []raidLevel{
	{name: "0", redfish: "RAID0", least: 1, most: 1000},
	{name: "1", redfish: "RAID1", least: 2, most: 2, overhead: 1},
	{name: "5", redfish: "RAID5", least: 3, most: 1000, overhead: 1},
	{name: "6", redfish: "RAID6", least: 4, most: 1000, overhead: 2},
	{name: "1+0", redfish: "RAID10", span: "1", evenDisksAlone: true},
	{name: "5+0", redfish: "RAID50", span: "5", evenDisksAlone: true},
	{name: "6+0", redfish: "RAID60", span: "6", evenDisksAlone: true},
}

func findLevel(name string) (raidLevel, error) {
	i := slices.IndexFunc(raidLevels, func(l raidLevel) bool { return l.name == name })
	if i < 0 {
		var names []string
		for _, l := range raidLevels {
			names = append(names, l.name)
		}
		return raidLevel{}, redfishError("RAID level %s is not supported by the driver. Supported RAID levels: %s", name, strings.Join(names, ", "))
	}
	return raidLevels[i], nil
}

// spans is how many spans a volume of so many disks has.
func (l raidLevel) spans(disks int) int {
	switch l.name {
	case "1+0":
		return disks / 2
	case "5+0", "6+0":
		return 2
	}
	return 1
}

// unit is the level that each span has.
func (l raidLevel) unit(spans int) (raidLevel, error) {
	if l.span == "" {
		return l, nil
	}
	if spans <= 1 {
		return l, redfishError("Spanned RAID volumes cannot contain a single span")
	}
	return findLevel(l.span)
}

// usable is how many of so many disks a volume can be made of.
func (l raidLevel) usable(disks int) int {
	if l.evenDisksAlone {
		return disks / 2 * 2
	}
	return disks
}

// physicalDisk is a drive behind a RAID controller.
type physicalDisk struct {
	ID, Path        string
	Media, Protocol string
	Capacity        int64 // bytes
	Controller      string
	// volumes is the collection in which volumes on this disk are made.
	volumes string
}

// volume is a logical disk that is to be made. It is kept in driver_internal_info under the names that upstream has.
type volume struct {
	Level      string   `json:"raid_level"`
	Size       int64    `json:"size_bytes"`
	Max        bool     `json:"ironmaster_max,omitempty"`
	Disks      []string `json:"physical_disks"`
	Controller string   `json:"controller"`
	Name       string   `json:"volume_name,omitempty"`
	// Before is how many volumes of this level on these very disks are made before it: volumes may share disks.
	Before int `json:"ironmaster_before,omitempty"`

	root, share                bool
	diskType, protocol         string
	count                      int
	disksGiven, controllerFree bool
}

// countLike is how many of the volumes have the level and the disks of this one.
func (v volume) countLike(others []volume) int {
	disks, n := slices.Sorted(slices.Values(v.Disks)), 0
	for _, o := range others {
		if o.Level == v.Level && slices.Equal(slices.Sorted(slices.Values(o.Disks)), disks) {
			n++
		}
	}
	return n
}

// planner finds disks for volumes, as ironic does (ironic/drivers/modules/redfish/raid.py, _find_configuration).
type planner struct {
	disks []physicalDisk
	// groups are disks that are alike, in the order in which they were found: a volume is made of one kind.
	groups []*diskGroup
	// tries counts the disks that were tried for a volume.
	tries int
}

// maxTries bounds the search: volumes that share disks have so many ways to lie on them that one of which none is good would go on for
// years, with the BMC's line held.
const maxTries = 100_000

type diskGroup struct {
	media, protocol string
	capacity        int64
	// free are disks that may be taken, reserved those that a volume of all the remaining space wants.
	free, reserved []physicalDisk
}

// space is what is left on each disk, by its path.
type space map[string]int64

// stripeKiB is the stripe by which ironic calculates.
const stripeKiB = 64 << 10

// plan returns the volumes with their disks, sizes and controllers, in the order in which they are to be made.
func plan(wanted []volume, disks []physicalDisk) ([]volume, error) {
	p := &planner{disks: disks}
	left := space{}
	for _, d := range disks {
		left[d.Path] = d.Capacity
	}
	p.group(wanted)
	var done []volume
	given := func(max bool) error {
		for _, v := range wanted {
			if !v.disksGiven || v.Max != max {
				continue
			}
			if err := p.fit(&v, left); err != nil {
				return err
			}
			done = append(done, v)
		}
		return nil
	}
	if err := given(false); err != nil {
		return nil, err
	}
	var open []volume
	for _, v := range wanted {
		if !v.disksGiven {
			open = append(open, v)
		}
	}
	if len(open) > 0 {
		found, after, ok := p.assign(open, left)
		if !ok {
			for _, g := range p.groups {
				g.free = append(g.free, g.reserved...)
			}
			p.tries = 0
			if found, after, ok = p.assign(open, left); !ok {
				return nil, redfishError("failed to find matching physical disks for all logical disks")
			}
		}
		left = after
		done = append(done, found...)
	}
	return done, given(true)
}

// group sorts the disks by kind, without those that a volume has to itself.
func (p *planner) group(wanted []volume) {
	for _, d := range p.disks {
		i := slices.IndexFunc(p.groups, func(g *diskGroup) bool {
			return g.media == d.Media && g.protocol == d.Protocol && g.capacity == d.Capacity
		})
		if i < 0 {
			i = len(p.groups)
			p.groups = append(p.groups, &diskGroup{media: d.Media, protocol: d.Protocol, capacity: d.Capacity})
		}
		g := p.groups[i]
		named := func(pick func(volume) bool) bool {
			return slices.ContainsFunc(wanted, func(v volume) bool { return v.disksGiven && pick(v) && slices.Contains(v.Disks, d.ID) })
		}
		switch {
		case named(func(v volume) bool { return !v.share }):
		case named(func(v volume) bool { return v.Max && v.share }):
			g.reserved = append(g.reserved, d)
		default:
			g.free = append(g.free, d)
		}
	}
}

// fit works out what a volume takes of its disks, and takes it.
func (p *planner) fit(v *volume, left space) error {
	var disks []physicalDisk
	for _, d := range p.disks {
		if slices.Contains(v.Disks, d.ID) {
			disks = append(disks, d)
		}
	}
	return fitOn(v, disks, left)
}

func fitOn(v *volume, disks []physicalDisk, left space) error {
	level, err := findLevel(v.Level)
	if err != nil {
		return redfishError("Cannot calculate spans for RAID level %q", v.Level)
	}
	spans := level.spans(len(disks))
	if len(disks) == 0 || spans == 0 || len(disks)%spans != 0 {
		return redfishError("For RAID level %s, the number of physical disks provided (%d) must be a multiple of the spans count (%d)",
			v.Level, len(disks), spans)
	}
	unit, err := level.unit(spans)
	if err != nil {
		return err
	}
	data := int64(len(disks) - unit.overhead*spans)
	if data <= 0 {
		return redfishError("The number of physical drives (%d) is too few for the required number of overhead drives (%d)",
			len(disks), unit.overhead*spans)
	}
	smallest := left[disks[0].Path]
	for _, d := range disks {
		smallest = min(smallest, left[d.Path])
	}
	most := smallest / 1024 / stripeKiB * stripeKiB * data * 1024
	switch {
	case v.Max && most == 0:
		return redfishError("size set to 'MAX' but could not allocate physical disk space")
	case v.Max:
		v.Size = most
	case most < v.Size:
		return redfishError("The physical disk space (%d bytes) is not enough for the size of the logical disk (%d bytes)", most, v.Size)
	}
	each := ceil(ceil(v.Size/1024, stripeKiB), data) * stripeKiB * 1024
	for _, d := range disks {
		if left[d.Path] < each {
			return redfishError("The free space of a disk (%d bytes) is not enough for the per-disk size of the logical disk (%d bytes)",
				left[d.Path], each)
		}
		left[d.Path] -= each
	}
	if v.controllerFree {
		v.Controller = disks[0].Controller
	}
	return nil
}

func ceil(a, b int64) int64 { return (a + b - 1) / b }

// assign finds disks for volumes that name none: for the first with every kind and number of disks, until the others fit, too. The
// last comes first in what it returns.
func (p *planner) assign(open []volume, left space) ([]volume, space, bool) {
	first, others := open[0], open[1:]
	level, err := findLevel(first.Level)
	if err != nil {
		return nil, nil, false
	}
	for _, g := range p.groups {
		if first.diskType != "" && !strings.EqualFold(first.diskType, g.media) ||
			first.protocol != "" && !strings.EqualFold(first.protocol, g.protocol) {
			continue
		}
		disks := g.candidates(first, left)
		for n := 1; n <= len(disks); n++ {
			if !fits(level, n, len(disks)) || first.count != 0 && first.count != n {
				continue
			}
			if p.tries++; p.tries > maxTries {
				return nil, nil, false
			}
			v, after := first, maps.Clone(left)
			v.Disks = nil
			for _, d := range disks[:n] {
				v.Disks = append(v.Disks, d.ID)
			}
			if fitOn(&v, disks[:n], after) != nil {
				continue
			}
			if len(others) == 0 {
				return []volume{v}, after, true
			}
			if rest, after, ok := p.assign(others, after); ok {
				return append(rest, v), after, true
			}
		}
	}
	return nil, nil, false
}

// candidates are the disks of a kind that have room, those with the least first.
func (g *diskGroup) candidates(v volume, left space) []physicalDisk {
	var disks []physicalDisk
	for _, d := range g.free {
		if free := left[d.Path]; free > 0 && (v.share || free == d.Capacity) {
			disks = append(disks, d)
		}
	}
	slices.SortStableFunc(disks, func(a, b physicalDisk) int { return cmp.Compare(left[a.Path], left[b.Path]) })
	return disks
}

// fits tells whether a level can be made of n disks, when there are so many.
func fits(level raidLevel, n, available int) bool {
	spans := level.spans(available)
	least, err := level.unit(min(2, spans))
	if err != nil {
		return false
	}
	most, err := level.unit(spans)
	return err == nil && n >= least.least*min(2, spans) && n <= most.most*spans && n == level.usable(n)
}
