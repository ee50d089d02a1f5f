package room

import (
	"bytes"
	"encoding/binary"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs"
	diskfsdisk "github.com/diskfs/go-diskfs/disk"
	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
)

// makeISO makes the least image that ECMA-119 allows: one descriptor, folders of one sector, files behind them.
func makeISO(files map[string]string) []byte {
	image := make([]byte, (isoDescriptors+2)*isoSector)
	type place struct{ sector, size int }
	folders := map[string][]string{".": nil}
	for name := range files {
		for name != "." {
			parent := path.Dir(name)
			if !slices.Contains(folders[parent], name) {
				folders[parent] = append(folders[parent], name)
			}
			name = parent
		}
	}
	places := map[string]place{}
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		places[name] = place{len(image) / isoSector, isoSector}
		image = append(image, make([]byte, isoSector)...)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		places[name] = place{len(image) / isoSector, len(files[name])}
		image = append(image, files[name]...)
		image = append(image, make([]byte, -len(image)&(isoSector-1))...)
	}
	record := func(identifier string, at place, folder bool) []byte {
		r := make([]byte, 33+len(identifier)+(1-len(identifier)%2))
		r[0] = byte(len(r))
		binary.LittleEndian.PutUint32(r[2:], uint32(at.sector))
		binary.LittleEndian.PutUint32(r[10:], uint32(at.size))
		if folder {
			r[25] = 2
		}
		r[32] = byte(len(identifier))
		copy(r[33:], identifier)
		return r
	}
	for name, members := range folders {
		content := append(record("\x00", places[name], true), record("\x01", places[path.Dir(name)], true)...)
		for _, member := range members {
			_, folder := folders[member]
			identifier := strings.ToUpper(path.Base(member))
			if !folder {
				identifier += ";1"
			}
			content = append(content, record(identifier, places[member], folder)...)
		}
		copy(image[places[name].sector*isoSector:], content)
	}
	descriptor := image[isoDescriptors*isoSector:]
	copy(descriptor, "\x01CD001\x01")
	copy(descriptor[156:], record("\x00", places["."], true))
	copy(image[(isoDescriptors+1)*isoSector:], "\xffCD001\x01")
	return image
}

const grubConfig = `set default=deploy
menuentry "deploy" {
linuxefi /vmlinuz nofb text ipa-api-url=http://127.0.0.1:6385 ipa-agent-token=s3cret boot_method=vmedia ipa-insecure=1 --
initrdefi /initrd
}
`

func TestKernelParameters(t *testing.T) {
	grub := map[string]string{"EFI/BOOT/grub.cfg": grubConfig, "vmlinuz": "kernel"}
	isolinux := map[string]string{"isolinux/isolinux.cfg": "default boot\nlabel boot\nkernel /vmlinuz\nappend initrd=/initrd text ipa-api-url=http://api --\n"}
	for name, test := range map[string]struct {
		files map[string]string
		mode  string
		want  string
		err   string
	}{
		"grub":                {files: grub, mode: "UEFI", want: "http://127.0.0.1:6385"},
		"grub in other place": {files: map[string]string{"boot/grub/grub.cfg": "linux /k ipa-api-url=http://b"}, mode: "UEFI", want: "http://b"},
		"quoted":              {files: map[string]string{"EFI/BOOT/grub.cfg": "\tlinux /k \"ipa-api-url=http://q\""}, mode: "UEFI", want: "http://q"},
		"isolinux":            {files: isolinux, mode: "Legacy", want: "http://api"},
		"no UEFI loader":      {files: isolinux, mode: "UEFI", err: "no boot loader configuration for UEFI"},
		"no BIOS loader":      {files: grub, mode: "Legacy", err: "no boot loader configuration for Legacy"},
		"no command line":     {files: map[string]string{"EFI/BOOT/grub.cfg": "set x=1\n"}, mode: "UEFI", err: "no kernel command line"},
		"huge configuration":  {files: map[string]string{"EFI/BOOT/grub.cfg": strings.Repeat(" ", maxConfig+1)}, mode: "UEFI", err: "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := kernelParameters(bytes.NewReader(makeISO(test.files)), test.mode)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil || got["ipa-api-url"] != test.want {
				t.Errorf("parameters %v, error %v, want ipa-api-url %s", got, err, test.want)
			}
		})
	}
	for name, image := range map[string][]byte{
		"empty": nil, "zeroes": make([]byte, 64<<10), "cut": makeISO(grub)[:isoDescriptors*isoSector+100],
	} {
		if _, err := kernelParameters(bytes.NewReader(image), "UEFI"); err == nil {
			t.Errorf("%s: taken for an ISO", name)
		}
	}
}

// An image of another writer, with Rock Ridge.
func TestKernelParametersOfDiskfs(t *testing.T) {
	name := filepath.Join(t.TempDir(), "boot.iso")
	made, err := diskfs.Create(name, 10<<20, diskfs.SectorSize(isoSector))
	if err != nil {
		t.Fatal(err)
	}
	fs, err := made.CreateFilesystem(diskfsdisk.FilesystemSpec{FSType: filesystem.TypeISO9660, VolumeLabel: "boot"})
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.Mkdir("EFI/BOOT"); err != nil {
		t.Fatal(err)
	}
	file, err := fs.OpenFile("EFI/BOOT/grub.cfg", os.O_CREATE|os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte(grubConfig)); err != nil {
		t.Fatal(err)
	}
	if err := fs.(*iso9660.FileSystem).Finalize(iso9660.FinalizeOptions{RockRidge: true}); err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	parameters, err := kernelParameters(image, "UEFI")
	if err != nil || parameters["ipa-agent-token"] != "s3cret" {
		t.Errorf("parameters %v, error %v", parameters, err)
	}
}

func FuzzKernelParameters(f *testing.F) {
	whole := makeISO(map[string]string{"EFI/BOOT/grub.cfg": grubConfig})
	// The reader sees only what follows the 16 unused sectors; leaving them out keeps the corpus small.
	f.Add(whole[isoDescriptors*isoSector:])
	f.Add(whole[isoDescriptors*isoSector : (isoDescriptors+1)*isoSector])
	f.Add([]byte("\x01CD001\x01"))
	f.Fuzz(func(t *testing.T, content []byte) {
		image := append(make([]byte, isoDescriptors*isoSector), content...)
		for mode := range bootLoaders {
			parameters, err := kernelParameters(bytes.NewReader(image), mode)
			if (err == nil) != (parameters != nil) {
				t.Errorf("parameters %v with error %v", parameters, err)
			}
		}
	})
}

func FuzzBootConfig(f *testing.F) {
	f.Add([]byte(grubConfig))
	f.Add([]byte("append a=b=c \"d=e f\" =g\n"))
	f.Fuzz(func(t *testing.T, config []byte) {
		parameters, ok := parseBootConfig(config, []string{"linux", "append"})
		for name, value := range parameters {
			if strings.ContainsAny(name+value, " \n\t") {
				t.Errorf("white space in %q=%q", name, value)
			}
		}
		if ok != (parameters != nil) {
			t.Errorf("found %v with %v", ok, parameters)
		}
	})
}
