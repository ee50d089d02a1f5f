package image

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// fileSource reads images from this host's disks.
type fileSource struct{ cfg FileConfig }

// path returns the file that href names when it may be an image. The path is taken literally, without percent-decoding,
// and compared before symbolic links are followed: both are ironic's behaviour, and links below an allowed directory are
// the operator's own.
func (f fileSource) path(href string) (string, error) {
	raw := filePath(href)
	clean := filepath.Clean("/" + raw)
	if !f.allowed(clean) {
		return "", refInvalid(href, "Security: Path %s is not allowed for image source file URLs", raw)
	}
	if info, err := os.Stat(clean); err != nil || !info.Mode().IsRegular() {
		return "", refInvalid(href, "Specified image file not found.")
	}
	return clean, nil
}

func (f fileSource) allowed(path string) bool {
	for _, dir := range f.cfg.AllowedPaths {
		dir = strings.TrimSuffix(dir, "/")
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}

// filePath returns the path part of a file URL.
func filePath(href string) string {
	rest := href[strings.IndexByte(href, ':')+1:]
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		slash := strings.IndexByte(after, '/')
		if slash < 0 {
			return ""
		}
		rest = after[slash:]
	}
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

// Show tells a file's size and time.
func (f fileSource) Show(_ context.Context, ref Ref) (Metadata, error) {
	path, err := f.path(ref.Href)
	if err != nil {
		return Metadata{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return Metadata{}, refInvalid(ref.Href, "%w", err)
	}
	return Metadata{Origin: OriginFile, Size: info.Size(), UpdatedAt: info.ModTime().UTC()}, nil
}

// Open opens the file at its start.
func (f fileSource) Open(_ context.Context, ref Ref, _ place) (stream, error) {
	path, err := f.path(ref.Href)
	if err != nil {
		return stream{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return stream{}, downloadFailed(ref.Href, err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return stream{}, downloadFailed(ref.Href, err)
	}
	return stream{ReadCloser: file, size: info.Size()}, nil
}
