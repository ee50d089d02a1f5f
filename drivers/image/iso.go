package image

import (
	"encoding/binary"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

// isoBlock is the logical block of ISO 9660.
const isoBlock = 2048

// Blocks of the images that buildISO writes. Each path table and each directory is one block.
const (
	isoPVD = 16 + iota
	isoSVD
	isoTerminator
	isoPathL
	isoPathM
	isoJolietPathL
	isoJolietPathM
	isoFirstDir
)

// isoNode is a file or a directory of an image.
type isoNode struct {
	name     string
	parent   *isoNode
	children []*isoNode // nil for files
	data     []byte
	// block is where the file or the directory lies, joliet where the directory of the second tree lies.
	block, joliet uint32
}

func (n *isoNode) dir() bool { return n.data == nil }

// isoTree says how one of the two trees over the same files writes names and finds directories.
type isoTree struct {
	joliet bool
	l, m   uint32 // blocks of the path tables
}

var isoTrees = []isoTree{{false, isoPathL, isoPathM}, {true, isoJolietPathL, isoJolietPathM}}

// buildISO writes a small ISO 9660 image (ECMA-119, level 2) with Rock Ridge names (IEEE P1282) for Linux and Joliet names
// for Windows. files maps slash-separated paths to contents. go-diskfs cannot be used for this: as of 1.9.4 its Joliet
// subdirectories point into the other tree, so that Windows reads garbage.
func buildISO(label string, files map[string][]byte, now time.Time) ([]byte, error) {
	root := &isoNode{}
	root.parent = root
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := root.add(name, files[name]); err != nil {
			return nil, err
		}
	}
	dirs := root.dirs()
	next := uint32(isoFirstDir)
	for _, d := range dirs {
		d.block, d.joliet = next, next+uint32(len(dirs))
		next++
	}
	next += uint32(len(dirs))
	image := make([]byte, int(next)*isoBlock)
	for _, d := range dirs {
		for _, f := range d.children {
			if f.dir() {
				continue
			}
			f.block = uint32(len(image) / isoBlock)
			image = append(image, f.data...)
			image = append(image, make([]byte, -len(image)&(isoBlock-1))...)
		}
	}
	for _, tree := range isoTrees {
		size, err := tree.writePathTables(image, dirs)
		if err != nil {
			return nil, err
		}
		for _, d := range dirs {
			if err := tree.writeDir(image, d, now); err != nil {
				return nil, err
			}
		}
		tree.writeDescriptor(image, label, root, size, now)
	}
	copy(image[isoTerminator*isoBlock:], "\xffCD001\x01")
	return image, nil
}

// add puts a file into the tree, with the directories on its way.
func (n *isoNode) add(name string, data []byte) error {
	at := n
	parts := strings.Split(path.Clean(name), "/")
	for i, part := range parts {
		if part == "" || len(part) > 64 {
			return fmt.Errorf("the file name %q does not fit an ISO image", name)
		}
		leaf := i == len(parts)-1
		j := slices.IndexFunc(at.children, func(c *isoNode) bool { return c.name == part })
		if j >= 0 && (leaf || !at.children[j].dir()) {
			return fmt.Errorf("the file name %q is used twice", name)
		}
		if j < 0 {
			child := &isoNode{name: part, parent: at}
			if leaf {
				child.data = append([]byte{}, data...)
			}
			at.children = append(at.children, child)
			j = len(at.children) - 1
		}
		at = at.children[j]
	}
	return nil
}

// dirs lists the directories level by level, parents in order, as path tables want them.
func (n *isoNode) dirs() []*isoNode {
	out := []*isoNode{n}
	for i := 0; i < len(out); i++ {
		slices.SortFunc(out[i].children, func(a, b *isoNode) int { return strings.Compare(a.name, b.name) })
		for _, c := range out[i].children {
			if c.dir() {
				out = append(out, c)
			}
		}
	}
	return out
}

// id is the name of a node as the tree writes it.
func (t isoTree) id(n *isoNode) string {
	if t.joliet {
		var b []byte
		for _, unit := range utf16.Encode([]rune(n.name)) {
			b = binary.BigEndian.AppendUint16(b, unit)
		}
		return string(b)
	}
	plain := strings.Map(func(r rune) rune {
		if r == '.' && !n.dir() || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, strings.ToUpper(n.name))
	if n.dir() {
		return plain[:min(len(plain), 31)]
	}
	base, ext, _ := strings.Cut(plain, ".")
	ext = strings.ReplaceAll(ext, ".", "_")
	return base[:min(len(base), 20)] + "." + ext[:min(len(ext), 9)] + ";1"
}

func (t isoTree) block(n *isoNode) uint32 {
	if t.joliet && n.dir() {
		return n.joliet
	}
	return n.block
}

// writePathTables writes both byte orders and returns their length.
func (t isoTree) writePathTables(image []byte, dirs []*isoNode) (uint32, error) {
	var l, m []byte
	for _, d := range dirs {
		id := t.id(d)
		if d.parent == d {
			id = "\x00"
		}
		parent := uint16(slices.Index(dirs, d.parent) + 1)
		l = append(l, byte(len(id)), 0)
		l = binary.LittleEndian.AppendUint32(l, t.block(d))
		l = binary.LittleEndian.AppendUint16(l, parent)
		m = append(m, byte(len(id)), 0)
		m = binary.BigEndian.AppendUint32(m, t.block(d))
		m = binary.BigEndian.AppendUint16(m, parent)
		padded := id + "\x00"[:len(id)&1]
		l, m = append(l, padded...), append(m, padded...)
	}
	if len(l) > isoBlock {
		return 0, fmt.Errorf("%d directories are too many for a small ISO image", len(dirs))
	}
	copy(image[t.l*isoBlock:], l)
	copy(image[t.m*isoBlock:], m)
	return uint32(len(l)), nil
}

// writeDir writes a directory, its entries sorted by the tree's own names.
func (t isoTree) writeDir(image []byte, d *isoNode, now time.Time) error {
	out := append(t.record(d, "\x00", now, d.parent == d), t.record(d.parent, "\x01", now, false)...)
	children := slices.Clone(d.children)
	slices.SortFunc(children, func(a, b *isoNode) int { return strings.Compare(t.id(a), t.id(b)) })
	for i, c := range children {
		if i > 0 && t.id(c) == t.id(children[i-1]) {
			return fmt.Errorf("the file names %q and %q look the same in an ISO image", c.name, children[i-1].name)
		}
		out = append(out, t.record(c, t.id(c), now, false)...)
	}
	if len(out) > isoBlock {
		return fmt.Errorf("the directory %q is too large for a small ISO image", d.name)
	}
	copy(image[t.block(d)*isoBlock:], out)
	return nil
}

// record is a directory record (ECMA-119 §9.1); first marks the root's entry for itself, where Rock Ridge begins.
func (t isoTree) record(n *isoNode, id string, now time.Time, first bool) []byte {
	r := t.plainRecord(n, id, now)
	if !t.joliet {
		r = append(r, rockRidge(n, id, first)...)
	}
	if len(r)&1 == 1 {
		r = append(r, 0)
	}
	r[0] = byte(len(r))
	return r
}

// plainRecord is a directory record without extensions.
func (t isoTree) plainRecord(n *isoNode, id string, now time.Time) []byte {
	r := make([]byte, 33, 255)
	both32(r[2:], t.block(n))
	size := uint32(len(n.data))
	if n.dir() {
		size = isoBlock
		r[25] = 2
	}
	both32(r[10:], size)
	now = now.UTC()
	copy(r[18:], []byte{byte(now.Year() - 1900), byte(now.Month()), byte(now.Day()), byte(now.Hour()), byte(now.Minute()), byte(now.Second()), 0})
	both16(r[28:], 1)
	r[32] = byte(len(id))
	r = append(r, id...)
	if len(id)&1 == 0 {
		r = append(r, 0)
	}
	r[0] = byte(len(r))
	return r
}

// rockRidge is the system use part of a record: who may read the file, owned by root, and its real name.
func rockRidge(n *isoNode, id string, first bool) []byte {
	var out []byte
	if first {
		out = append(out, "SP\x07\x01\xbe\xef\x00"...)
	}
	mode, links := uint32(0o100444), uint32(1)
	if n.dir() {
		mode, links = 0o040555, 2
	}
	px := make([]byte, 36)
	copy(px, "PX\x24\x01")
	for i, v := range []uint32{mode, links, 0, 0} {
		both32(px[4+8*i:], v)
	}
	out = append(out, px...)
	if id != "\x00" && id != "\x01" {
		out = append(out, 'N', 'M', byte(5+len(n.name)), 1, 0)
		out = append(out, n.name...)
	}
	if first {
		out = append(out, "ER\x12\x01\x0a\x00\x00\x01RRIP_1991A"...)
	}
	return out
}

// writeDescriptor writes the tree's volume descriptor (ECMA-119 §8.4, §8.5).
func (t isoTree) writeDescriptor(image []byte, label string, root *isoNode, pathTable uint32, now time.Time) {
	b := image[isoPVD*isoBlock:][:isoBlock]
	text := func(from, to int, s string) {
		for i := from; i < to; i++ {
			b[i] = ' '
		}
		copy(b[from:to], s)
	}
	if t.joliet {
		b = image[isoSVD*isoBlock:][:isoBlock]
		text = func(from, to int, s string) {
			for i := from; i+1 < to; i += 2 {
				b[i], b[i+1] = 0, ' '
			}
			copy(b[from:to], isoTree{joliet: true}.id(&isoNode{name: s}))
		}
	}
	copy(b, "\x01CD001\x01")
	for _, field := range [][2]int{{8, 40}, {190, 318}, {318, 446}, {446, 574}, {574, 702}, {702, 739}, {739, 776}, {776, 813}} {
		text(field[0], field[1], "")
	}
	text(40, 72, label)
	text(574, 702, "IRONMASTER")
	if t.joliet {
		b[0] = 2
		copy(b[88:], "%/E")
	}
	both32(b[80:], uint32(len(image)/isoBlock))
	both16(b[120:], 1)
	both16(b[124:], 1)
	both16(b[128:], isoBlock)
	both32(b[132:], pathTable)
	binary.LittleEndian.PutUint32(b[140:], t.l)
	binary.BigEndian.PutUint32(b[148:], t.m)
	copy(b[156:190], t.plainRecord(root, "\x00", now))
	stamp := now.UTC().Format("20060102150405") + "00\x00"
	for _, at := range []int{813, 830} {
		copy(b[at:], stamp)
	}
	for _, at := range []int{847, 864} {
		copy(b[at:], "0000000000000000\x00")
	}
	b[881] = 1
}

func both16(b []byte, v uint16) {
	binary.LittleEndian.PutUint16(b, v)
	binary.BigEndian.PutUint16(b[2:], v)
}

func both32(b []byte, v uint32) {
	binary.LittleEndian.PutUint32(b, v)
	binary.BigEndian.PutUint32(b[4:], v)
}
