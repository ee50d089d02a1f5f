package bootiso

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// Debian keeps isolinux.bin elsewhere than ironic expects it.
func TestIsolinuxIsLookedForWhereDistributionsHaveIt(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	want := filepath.Join(second, "isolinux.bin")
	if err := os.WriteFile(want, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(first, "isolinux.bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	dirs := []string{filepath.Join(first, "missing"), first, second}
	if got := firstFile(dirs, "isolinux.bin"); got != want {
		t.Errorf("found %q, want %q", got, want)
	}
	if got := firstFile(dirs, "ldlinux.c32"); got != "" {
		t.Errorf("found %q where there is none", got)
	}
}

func TestIsolinuxThatIsNamedMustBeThere(t *testing.T) {
	b, err := Open(Config{Dir: t.TempDir(), IsolinuxBin: "/nowhere/isolinux.bin"}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Build(t.Context(), Request{Kernel: "k", Ramdisk: "r", Mode: store.BootModeBIOS})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/isolinux.bin") {
		t.Errorf("error %v does not name the file", err)
	}
}
