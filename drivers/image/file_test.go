package image

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func TestFileImages(t *testing.T) {
	cfg := testConfig(t, nil)
	dir := cfg.File.AllowedPaths[0]
	writeFile(t, filepath.Join(dir, "disk.img"), []byte("contents"))
	writeFile(t, filepath.Join(dir, "100%25.img"), []byte("percent"))
	outside := writeFile(t, filepath.Join(t.TempDir(), "secret"), []byte("secret"))
	if err := os.Mkdir(dir+"-other", 0o755); err != nil {
		t.Fatal(err)
	}
	beside := writeFile(t, filepath.Join(dir+"-other", "x"), []byte("x"))
	s := newTestService(t, cfg)

	for href, want := range map[string]string{
		"file://" + dir + "/disk.img":          "contents",
		"file://" + dir + "/./sub/../disk.img": "contents",
		"file://" + dir + "/100%25.img":        "percent",
		"FILE://" + dir + "/disk.img":          "contents",
	} {
		meta, err := s.Show(t.Context(), Ref{Href: href})
		if err != nil || meta.Size != int64(len(want)) || meta.UpdatedAt.IsZero() {
			t.Errorf("%s: %+v, %v", href, meta, err)
		}
		var got bytes.Buffer
		if _, err := s.Download(t.Context(), Ref{Href: href}, &got, nil); err != nil || got.String() != want {
			t.Errorf("%s: got %q, %v", href, got.String(), err)
		}
	}
	for href, text := range map[string]string{
		"file://" + outside:                        "Security: Path " + outside + " is not allowed for image source file URLs",
		"file://" + dir + "/../secret":             "Security:",
		"file://" + beside:                         "Security:",
		"file://etc/passwd":                        "Security: Path /passwd is not allowed",
		"file:relative":                            "Security:",
		"file://" + dir + "/missing":               "Specified image file not found.",
		"file://" + dir:                            "Specified image file not found.",
		"file://" + dir + "/disk.img/../../../etc": "Security:",
	} {
		_, err := s.Show(t.Context(), Ref{Href: href})
		wantKind(t, err, store.ImageRefValidationFailed, text)
	}
}
