package bootiso_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// files serves hrefs from memory.
type files struct {
	mu       sync.Mutex
	content  map[string]string
	revision map[string]string
	fetched  map[string]int
	// before is called ahead of each fetch.
	before func(ctx context.Context, href string) error
}

func newFiles() *files {
	return &files{content: map[string]string{"kernel": strings.Repeat("K", 5000), "ramdisk": strings.Repeat("R", 70000),
		"esp": strings.Repeat("E", 9000), "ready.iso": "somebody's ISO"}, revision: map[string]string{}, fetched: map[string]int{}}
}

func (f *files) Revision(_ context.Context, href string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return "1" + f.revision[href], nil
}

func (f *files) Fetch(ctx context.Context, href string, w *os.File) error {
	f.mu.Lock()
	before := f.before
	f.mu.Unlock()
	if before != nil {
		if err := before(ctx, href); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fetched[href]++
	content, ok := f.content[href]
	if !ok {
		return store.Errorf(store.ImageNotFound, "Image %s could not be found.", href)
	}
	_, err := io.WriteString(w, content)
	return err
}

func open(t *testing.T, dir string, f *files) *bootiso.Builder {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "isolinux.bin")
	if err := os.WriteFile(bin, bytes.Repeat([]byte("I"), 3000), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := bootiso.Open(bootiso.Config{Dir: dir, Keep: 1, IsolinuxBin: bin, LdlinuxC32: bin}, f, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func uefi(parameters string) bootiso.Request {
	return bootiso.Request{Kernel: "kernel", Ramdisk: "ramdisk", Bootloader: "esp", Mode: "uefi", Parameters: parameters}
}

// iso is an Image written out, as a BMC would read it.
type iso struct {
	bytes []byte
	*iso9660.FileSystem
}

func readOut(t *testing.T, image *bootiso.Image) iso {
	t.Helper()
	r, err := image.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := filepath.Join(t.TempDir(), "out.iso")
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	disk, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disk.Close() })
	system, err := iso9660.Read(file.New(disk, true), 0, 0, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return iso{all, system}
}

func (i iso) file(t *testing.T, path string) string {
	t.Helper()
	f, err := i.OpenFile(path, os.O_RDONLY)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(text)
}

// publisher is the publisher identifier of ECMA-119 §8.4.20.
func (i iso) publisher() string {
	return strings.TrimRight(string(i.bytes[0x8000+318:0x8000+318+128]), " ")
}

// bootImage follows El Torito from the boot record to the default entry.
func (i iso) bootImage(t *testing.T) (platform byte, start []byte) {
	t.Helper()
	record := i.bytes[17*2048:]
	if string(record[7:30]) != "EL TORITO SPECIFICATION" {
		t.Fatal("there is no El Torito boot record")
	}
	catalog := i.bytes[2048*binary.LittleEndian.Uint32(record[0x47:]):]
	if catalog[0] != 1 || catalog[30] != 0x55 || catalog[31] != 0xaa || catalog[32] != 0x88 {
		t.Fatalf("boot catalog % x", catalog[:64])
	}
	return catalog[1], i.bytes[2048*binary.LittleEndian.Uint32(catalog[40:]):]
}

func TestUEFI(t *testing.T) {
	f := newFiles()
	b := open(t, t.TempDir(), f)
	image, err := b.Build(t.Context(), uefi("ipa-api-url=http://192.0.2.1:6385 ipa-agent-token=t0ken boot_method=vmedia"))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	out := readOut(t, image)
	for path, href := range map[string]string{"/vmlinuz": "kernel", "/initrd": "ramdisk", "/boot/grub/efiboot.img": "esp"} {
		if out.file(t, path) != f.content[href] {
			t.Errorf("%s is not the %s", path, href)
		}
	}
	config := out.file(t, "/EFI/BOOT/grub.cfg")
	want := "linux /vmlinuz ipa-api-url=http://192.0.2.1:6385 ipa-agent-token=t0ken boot_method=vmedia ir_pub_id=" +
		out.publisher() + " --\ninitrd /initrd\n}\n"
	if !strings.Contains(config, want) || len(out.publisher()) != 36 {
		t.Errorf("grub.cfg is %q, want %q in it", config, want)
	}
	if platform, start := out.bootImage(t); platform != 0xef || !bytes.HasPrefix(start, []byte(f.content["esp"])) {
		t.Errorf("platform %x starts %q", platform, start[:8])
	}
	if strings.TrimRight(out.Label(), " ") != "VMEDIA_BOOT_ISO" {
		t.Errorf("label %q", out.Label())
	}
}

func TestBIOS(t *testing.T) {
	b := open(t, t.TempDir(), newFiles())
	image, err := b.Build(t.Context(), bootiso.Request{Kernel: "kernel", Ramdisk: "ramdisk", Mode: "bios", Parameters: "a=b"})
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	out := readOut(t, image)
	want := "kernel /vmlinuz\nappend initrd=/initrd text a=b ir_pub_id=" + out.publisher() + " --\n"
	if config := out.file(t, "/isolinux/isolinux.cfg"); !strings.Contains(config, want) {
		t.Errorf("isolinux.cfg is %q, want %q in it", config, want)
	}
	if platform, start := out.bootImage(t); platform != 0 || start[0] != 'I' {
		t.Errorf("platform %x starts %q", platform, start[:8])
	}
}

func TestNetworkData(t *testing.T) {
	b := open(t, t.TempDir(), newFiles())
	r := uefi("")
	r.NetworkData = []byte(`{"links": ["` + strings.Repeat("x", 6000) + `"]}`)
	image, err := b.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	out := readOut(t, image)
	if got := out.file(t, "/openstack/latest/network_data.json"); strings.TrimSpace(got) != string(r.NetworkData) {
		t.Errorf("network data: %q", got)
	}
	if strings.TrimRight(out.Label(), " ") != "config-2" {
		t.Errorf("label %q", out.Label())
	}
}

func TestManyNodesShareOneFetchAndOneFile(t *testing.T) {
	dir, f := t.TempDir(), newFiles()
	b := open(t, dir, f)
	var work sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	for i := range 300 {
		work.Go(func() {
			image, err := b.Build(t.Context(), uefi("node="+string(rune('A'+i))))
			if err != nil {
				t.Error(err)
				return
			}
			r, err := image.Open()
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			text, err := io.ReadAll(r)
			if err != nil || !bytes.Contains(text, []byte("linux /vmlinuz node="+string(rune('A'+i))+" ")) {
				t.Errorf("node %d: %v", i, err)
			}
			image.Close()
			mu.Lock()
			defer mu.Unlock()
			seen[string(text[0x8000+318:0x8000+318+36])] = true
		})
	}
	work.Wait()
	for _, href := range []string{"kernel", "ramdisk", "esp"} {
		if f.fetched[href] != 1 {
			t.Errorf("%s was fetched %d times", href, f.fetched[href])
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 || len(seen) != 300 {
		t.Errorf("%d files, %d publishers", len(entries), len(seen))
	}
}

func TestTemplatesOutliveAWorkerAndMakeRoom(t *testing.T) {
	dir, f := t.TempDir(), newFiles()
	build := func(b *bootiso.Builder) *bootiso.Image {
		t.Helper()
		image, err := b.Build(t.Context(), uefi(""))
		if err != nil {
			t.Fatal(err)
		}
		return image
	}
	first := build(open(t, dir, f))
	if err := os.Mkdir(filepath.Join(dir, "build-dead"), 0o700); err != nil {
		t.Fatal(err)
	}
	b := open(t, dir, f)
	held := build(b)
	if f.fetched["kernel"] != 1 {
		t.Errorf("the kernel was fetched %d times", f.fetched["kernel"])
	}
	reader, err := first.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	// New kernels: old templates go as soon as nobody uses them, but for one.
	for _, revision := range []string{"a", "b", "c"} {
		f.revision["kernel"] = revision
		build(b).Close()
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 || f.fetched["kernel"] != 4 {
		t.Errorf("%d files, %d fetches", len(entries), f.fetched["kernel"])
	}
	held.Close()
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files after the last user left", len(entries))
	}
	// A BMC that reads already is not disturbed.
	if text, err := io.ReadAll(reader); err != nil || len(text) < 70000 {
		t.Errorf("read %d bytes: %v", len(text), err)
	}
}

func TestReadyMadeISO(t *testing.T) {
	f := newFiles()
	b := open(t, t.TempDir(), f)
	for range 2 {
		image, err := b.Fetch(t.Context(), "ready.iso")
		if err != nil {
			t.Fatal(err)
		}
		r, err := image.Open()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); err != nil || string(text) != "somebody's ISO" {
			t.Errorf("%q, %v", text, err)
		}
		r.Close()
		image.Close()
	}
	if f.fetched["ready.iso"] != 1 {
		t.Errorf("fetched %d times", f.fetched["ready.iso"])
	}
}

func TestErrors(t *testing.T) {
	missing := uefi("")
	missing.Ramdisk = "nowhere"
	bare := uefi("")
	bare.Bootloader = ""
	for name, c := range map[string]struct {
		request bootiso.Request
		kind    store.Kind
		text    string
	}{
		"long":    {uefi(strings.Repeat("x", 2048)), store.ImageCreationFailed, "Creating iso image failed: the kernel command line has 2048 bytes"},
		"lines":   {uefi("a\nb"), store.ImageCreationFailed, "more than one line"},
		"loader":  {bare, store.ImageCreationFailed, "bootloader"},
		"missing": {missing, store.ImageNotFound, "nowhere"},
		"mode":    {bootiso.Request{Mode: "openfirmware"}, store.ImageCreationFailed, "openfirmware"},
	} {
		dir := t.TempDir()
		_, err := open(t, dir, newFiles()).Build(t.Context(), c.request)
		if store.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("%s: %d files are left", name, len(entries))
		}
	}
	f := newFiles()
	f.content["kernel"] = ""
	if _, err := open(t, t.TempDir(), f).Build(t.Context(), uefi("")); store.KindOf(err) != store.ImageCreationFailed {
		t.Errorf("empty kernel: %v", err)
	}
}

// The one who fetches is called off; the one who waits takes over.
func TestAWaiterTakesOver(t *testing.T) {
	f := newFiles()
	started := make(chan struct{}, 1)
	f.before = func(ctx context.Context, _ string) error {
		started <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	b := open(t, t.TempDir(), f)
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		if _, err := b.Build(ctx, uefi("")); !errors.Is(err, context.Canceled) {
			t.Errorf("the first: %v", err)
		}
	})
	<-started
	work.Go(func() {
		image, err := b.Build(t.Context(), uefi(""))
		if err != nil {
			t.Errorf("the second: %v", err)
			return
		}
		image.Close()
	})
	f.mu.Lock()
	f.before = nil
	f.mu.Unlock()
	cancel()
}
