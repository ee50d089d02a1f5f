package image

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func inspectFile(t testing.TB, path string) Inspection {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	in, err := Inspect(file, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func inspectBytes(t testing.TB, b []byte) Inspection {
	t.Helper()
	in, err := Inspect(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// qemuImages builds one image of each kind with qemu-img, all of a 10 MiB disk.
func qemuImages(t testing.TB) map[string]string {
	t.Helper()
	dir := t.TempDir()
	create := func(name string, args ...string) string {
		path := filepath.Join(dir, name)
		run(t, "qemu-img", append(append([]string{"create", "-q"}, args...), path, "10M")...)
		return path
	}
	images := map[string]string{
		"raw":                create("raw", "-f", "raw"),
		"qcow2":              create("qcow2", "-f", "qcow2"),
		"qcow2 v2":           create("qcow2v2", "-f", "qcow2", "-o", "compat=0.10"),
		"qcow2 zstd":         create("qcow2zstd", "-f", "qcow2", "-o", "compression_type=zstd"),
		"qcow2 small":        create("qcow2small", "-f", "qcow2", "-o", "cluster_size=512"),
		"qcow2 large":        create("qcow2large", "-f", "qcow2", "-o", "cluster_size=2M"),
		"qcow2 extended l2":  create("qcow2ext", "-f", "qcow2", "-o", "extended_l2=on"),
		"qcow2 data file":    create("qcow2data", "-f", "qcow2", "-o", "data_file="+filepath.Join(dir, "external")),
		"vmdk":               create("vmdk", "-f", "vmdk"),
		"vmdk stream":        create("vmdkstream", "-f", "vmdk", "-o", "subformat=streamOptimized"),
		"vmdk flat":          create("vmdkflat", "-f", "vmdk", "-o", "subformat=monolithicFlat"),
		"vhd dynamic":        create("vhd", "-f", "vpc", "-o", "force_size=on"),
		"vhd fixed":          create("vhdfixed", "-f", "vpc", "-o", "subformat=fixed,force_size=on"),
		"vhdx":               create("vhdx", "-f", "vhdx"),
		"vdi":                create("vdi", "-f", "vdi"),
		"qed":                create("qed", "-f", "qed"),
		"qcow":               create("qcow", "-f", "qcow"),
		"parallels":          create("parallels", "-f", "parallels"),
		"qcow2 backing file": filepath.Join(dir, "backed"),
	}
	run(t, "qemu-img", "create", "-q", "-f", "qcow2", "-b", images["raw"], "-F", "raw", images["qcow2 backing file"])
	return images
}

func TestInspectRealImages(t *testing.T) {
	images := qemuImages(t)
	const disk = 10 * MiB
	tests := map[string]Inspection{
		"raw":                {Format: FormatRaw, VirtualSize: disk},
		"qcow2":              {Format: FormatQCOW2, VirtualSize: disk},
		"qcow2 v2":           {Format: FormatQCOW2, VirtualSize: disk},
		"qcow2 zstd":         {Format: FormatQCOW2, VirtualSize: disk},
		"qcow2 small":        {Format: FormatQCOW2, VirtualSize: disk},
		"qcow2 large":        {Format: FormatQCOW2, VirtualSize: disk},
		"qcow2 extended l2":  {Format: FormatQCOW2, VirtualSize: disk, Unsafe: "features that are not accepted (bits 0x10)"},
		"qcow2 data file":    {Format: FormatQCOW2, VirtualSize: disk, Unsafe: "external file"},
		"qcow2 backing file": {Format: FormatQCOW2, VirtualSize: disk, Unsafe: "backing file"},
		"vmdk":               {Format: FormatVMDK, VirtualSize: disk},
		"vmdk stream":        {Format: FormatVMDK, VirtualSize: disk},
		"vmdk flat":          {Format: FormatVMDK, Unsafe: "points to other files"},
		"vhd dynamic":        {Format: FormatVHD, VirtualSize: disk},
		"vhd fixed":          {Format: FormatVHD, VirtualSize: disk},
		"vhdx":               {Format: FormatVHDX, VirtualSize: disk},
		"vdi":                {Format: FormatVDI, VirtualSize: disk},
		"qed":                {Format: FormatQED},
		"qcow":               {Format: FormatQCOW},
		"parallels":          {Format: FormatParallels},
	}
	for name, want := range tests {
		got := inspectFile(t, images[name])
		if (want.Unsafe == "") != (got.Unsafe == "") || !strings.Contains(got.Unsafe, want.Unsafe) {
			t.Errorf("%s: unsafe %q, want %q", name, got.Unsafe, want.Unsafe)
		}
		got.Unsafe, want.Unsafe = "", ""
		if got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		if name == "vhd fixed" || name == "raw" {
			continue // what they are shows at the end
		}
		if got := inspectPrefix(t, images[name]); got.Format != want.Format || got.VirtualSize != want.VirtualSize {
			t.Errorf("%s: the first bytes give %+v, want %+v", name, got, want)
		}
	}
	if in := inspectBytes(t, append([]byte("LUKS\xba\xbe\x00\x02"), make([]byte, 1024)...)); in.Format != FormatLUKS {
		t.Errorf("luks: got %+v", in)
	}
}

// inspectPrefix looks at an image as if it were still arriving.
func inspectPrefix(t *testing.T, path string) Inspection {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	in, err := Inspect(io.NewSectionReader(file, 0, PrefixSize), UnknownSize)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestInspectISO(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "f"), []byte("x"))
	out := filepath.Join(t.TempDir(), "x.iso")
	run(t, "genisoimage", "-quiet", "-o", out, dir)
	in := inspectFile(t, out)
	info, err := os.Stat(out)
	if err != nil || in.Format != FormatISO || in.VirtualSize == 0 || in.VirtualSize > info.Size() {
		t.Errorf("got %+v of %d bytes, %v", in, info.Size(), err)
	}
	iso, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	copy(iso, mbrDisk(512))
	if in := inspectBytes(t, iso); in.Format != FormatISO || in.PartitionTable != TableMBR || in.Unsafe != "" {
		t.Errorf("hybrid: got %+v", in)
	}
	copy(iso, "QFI\xfb\x00\x00\x00\x03")
	if in := inspectBytes(t, iso); !strings.Contains(in.Unsafe, "several formats at once: qcow2, iso") {
		t.Errorf("two formats: got %+v", in)
	}
}

func TestInspectPartitionTables(t *testing.T) {
	gpt := mbrDisk(8192)
	copy(gpt[512:], "EFI PART")
	gpt4k := mbrDisk(8192)
	copy(gpt4k[4096:], "EFI PART")
	fat := make([]byte, 1024)
	copy(fat, "\xeb\x3c\x90mkfs.fat")
	copy(fat[446:], "This is not a bootable disk.")
	fat[510], fat[511] = 0x55, 0xaa
	for name, tt := range map[string]struct {
		disk []byte
		want string
	}{
		"mbr": {mbrDisk(1024), TableMBR}, "gpt": {gpt, TableGPT}, "gpt of 4096": {gpt4k, TableGPT},
		"file system": {fat, ""}, "nothing": {make([]byte, 4096), ""}, "tiny": {[]byte{1}, ""},
	} {
		if in := inspectBytes(t, tt.disk); in.PartitionTable != tt.want || in.Format != FormatRaw || in.Unsafe != "" {
			t.Errorf("%s: got %+v", name, in)
		}
	}
	if in := inspectBytes(t, nil); in.Unsafe != "it is empty" {
		t.Errorf("empty: got %+v", in)
	}
}

// Each case changes one field of a good header.
func TestInspectLyingQCOW2(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "good")
	run(t, "qemu-img", "create", "-q", "-f", "qcow2", path, "10M")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put32 := func(offset int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint32(b[offset:], v); return b }
	}
	put64 := func(offset int, v uint64) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint64(b[offset:], v); return b }
	}
	tests := []struct {
		name   string
		change func([]byte) []byte
		unsafe string
	}{
		{"version 4", put32(4, 4), "version is 4"},
		{"version 0", put32(4, 0), "version is 0"},
		{"backing file offset", put64(8, 512), "backing file"},
		{"backing file size alone", put32(16, 5), "backing file"},
		{"cluster bits", put32(20, 63), "cluster size"},
		{"small cluster bits", put32(20, 1), "cluster size"},
		{"negative size", put64(24, 1<<63), "virtual size"},
		{"size beyond L1", put64(24, 1<<50), "L1 table"},
		{"aes", put32(32, 1), "encrypted"},
		{"huge L1", put32(36, 1<<31), "L1 table"},
		{"L1 beyond the file", put64(40, 1<<40), "L1 table lies outside"},
		{"L1 offset wraps", put64(40, ^uint64(0)&^0xffff), "L1 table lies outside"},
		{"L1 not aligned", put64(40, 3), "L1 table lies outside"},
		{"refcounts beyond the file", put64(48, 1<<40), "refcount table"},
		{"many refcount clusters", put32(56, 1<<30), "refcount table"},
		{"many snapshots", put32(60, 1<<30), "snapshots"},
		{"snapshots beyond the file", func(b []byte) []byte { return put64(64, 1<<40)(put32(60, 1)(b)) }, "snapshot table"},
		{"corrupt", put64(72, 2), "corrupt"},
		{"external data", put64(72, 4), "external file"},
		{"unknown feature", put64(72, 1<<63), "not accepted"},
		{"refcount order", put32(96, 7), "reference counts"},
		{"header length", put32(100, 1<<20), "header claims"},
		{"short header", put32(100, 72), "header claims"},
		{"data file extension", func(b []byte) []byte { return put32(int(binary.BigEndian.Uint32(b[100:])), 0x44415441)(b) }, "external data file"},
		{"encryption extension", func(b []byte) []byte { return put32(int(binary.BigEndian.Uint32(b[100:])), 0x0537be77)(b) }, "encrypted"},
		{"long extension", func(b []byte) []byte {
			at := int(binary.BigEndian.Uint32(b[100:]))
			return put32(at+4, 1<<31)(put32(at, 7)(b))
		}, "beyond the first cluster"},
		{"cut in the header", func(b []byte) []byte { return b[:60] }, "cut off"},
		{"cut in the version 3 header", func(b []byte) []byte { return b[:90] }, "cut off"},
		{"cut in the extensions", func(b []byte) []byte { return b[:114] }, "cut off"},
		{"cut before the L1 table", func(b []byte) []byte { return b[:100000] }, "outside of the file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := inspectBytes(t, tt.change(bytes.Clone(good)))
			if in.Format != FormatQCOW2 || !strings.Contains(in.Unsafe, tt.unsafe) {
				t.Errorf("got %+v, want unsafe with %q", in, tt.unsafe)
			}
		})
	}
	if in := inspectBytes(t, good); in.Unsafe != "" {
		t.Fatalf("the good one: %+v", in)
	}
	dirty := put64(72, 1)(bytes.Clone(good))
	if in := inspectBytes(t, dirty); in.Unsafe != "" {
		t.Errorf("dirty: %+v", in)
	}
}

func TestVMDKDescriptor(t *testing.T) {
	good := "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\n" +
		"RW 20480 SPARSE \"x.vmdk\"\nddb.x = \"1\"\n"
	if err := checkVMDKDescriptor(good); err != nil {
		t.Fatal(err)
	}
	for change, text := range map[string]string{
		strings.Replace(good, "x.vmdk", "/etc/passwd", 1):              "elsewhere",
		strings.Replace(good, "ffffffff", "12345678", 1):               "parent",
		good + "parentFileNameHint=\"x\"\n":                            "parent",
		strings.Replace(good, "monolithicSparse", "monolithicFlat", 1): "layout",
		good + "RW 1 SPARSE \"y\"\n":                                   "layout",
		good + "surprise\n":                                            "not understood",
		good + "x=\xff\n":                                              "ASCII",
		"":                                                             "layout",
	} {
		if err := checkVMDKDescriptor(change); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, want %q", change, err, text)
		}
	}
}

func TestSafetyCheck(t *testing.T) {
	safety := DefaultConfig().Safety
	old := safety
	old.PermittedFormats = []Format{FormatRaw, FormatQCOW2, FormatISO}
	gptOnly := safety
	gptOnly.PermittedFormats = []Format{FormatGPT}
	off := safety
	off.Disable = true
	tests := []struct {
		name     string
		cfg      SafetyConfig
		in       Inspection
		declared string
		refused  string
	}{
		{"as declared", safety, Inspection{Format: FormatQCOW2}, "qcow2", ""},
		{"not declared", safety, Inspection{Format: FormatQCOW2}, "", ""},
		{"case", safety, Inspection{Format: FormatQCOW2}, "QCOW2", ""},
		{"raw that is qcow2", safety, Inspection{Format: FormatQCOW2}, "raw", "declared as raw but its contents are qcow2"},
		{"qcow2 that is raw", safety, Inspection{Format: FormatRaw}, "qcow2", "declared as qcow2 but its contents are raw"},
		{"gpt is raw", safety, Inspection{Format: FormatRaw, PartitionTable: TableGPT}, "gpt", ""},
		{"gpt under old names", old, Inspection{Format: FormatRaw, PartitionTable: TableGPT}, "raw", ""},
		{"gpt only", gptOnly, Inspection{Format: FormatRaw, PartitionTable: TableGPT}, "raw", ""},
		{"gpt only, mbr there", gptOnly, Inspection{Format: FormatRaw, PartitionTable: TableMBR}, "raw", "not one of the permitted formats (gpt)"},
		{"kernel", safety, Inspection{Format: FormatRaw}, "aki", ""},
		{"ramdisk", safety, Inspection{Format: FormatRaw}, "ari", ""},
		{"machine image", safety, Inspection{Format: FormatRaw}, "ami", ""},
		{"machine image that is qcow2", safety, Inspection{Format: FormatQCOW2}, "ami", "declared as ami"},
		{"not permitted", safety, Inspection{Format: FormatVMDK}, "vmdk", "not one of the permitted formats (raw, gpt, qcow2, iso)"},
		{"unsafe", safety, Inspection{Format: FormatQCOW2, Unsafe: "it has a backing file"}, "qcow2", "is unsafe: as qcow2, it has a backing file."},
		{"absurd", safety, Inspection{Format: FormatQCOW2, VirtualSize: 65 * tiB}, "qcow2", "virtual size"},
		{"switched off", off, Inspection{Format: FormatVMDK, Unsafe: "x"}, "raw", ""},
	}
	for _, tt := range tests {
		err := tt.cfg.Check("http://u:p@host/x", tt.in, tt.declared)
		if tt.refused == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		wantKind(t, err, store.InvalidImage, "The requested image is not valid for use. Image http://host/x", tt.refused)
	}
}

func FuzzInspect(f *testing.F) {
	for _, format := range []string{"qcow2", "vmdk", "vdi", "qed"} {
		path := filepath.Join(f.TempDir(), format)
		run(f, "qemu-img", "create", "-q", "-f", format, path, "10M")
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:min(len(data), 4096)], true)
		f.Add(data[:min(len(data), 4096)], false)
	}
	f.Add([]byte("conectix"+strings.Repeat("\xff", 600)), true)
	f.Add(mbrDisk(1024), false)
	f.Add([]byte("# Disk DescriptorFile\ncreateType=\"x\""), true)
	iso := make([]byte, 40<<10)
	copy(iso[32<<10:], "\x01CD001")
	f.Add(iso, true)
	vhdx := make([]byte, 200<<10)
	copy(vhdx, "vhdxfile")
	copy(vhdx[192<<10:], "regi\x00\x00\x00\x00\xff\xff\xff\xff")
	f.Add(vhdx, true)
	f.Fuzz(func(t *testing.T, data []byte, known bool) {
		size := UnknownSize
		if known {
			size = int64(len(data))
		}
		in, err := Inspect(strictReader{t, data, known}, size)
		if err != nil {
			t.Fatal(err)
		}
		if in.VirtualSize < 0 || in.Format == "" || in.Format == FormatGPT {
			t.Errorf("got %+v", in)
		}
	})
}

// strictReader fails the test when it is read before its beginning or, for an image that is all there, behind its end.
type strictReader struct {
	t     *testing.T
	data  []byte
	known bool
}

func (r strictReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || (r.known && off+int64(len(p)) > int64(len(r.data))) {
		r.t.Errorf("read of %d bytes at %d in an image of %d", len(p), off, len(r.data))
	}
	return bytes.NewReader(r.data).ReadAt(p, max(0, off))
}
