package image

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// maxChecksumFile bounds a list of checksums, in bytes.
const maxChecksumFile = 4 << 20

var (
	digestAlone = regexp.MustCompile(`^([a-fA-F\d]{128}|[a-fA-F\d]{64}|[a-fA-F\d]{32})$`)
	digestFirst = regexp.MustCompile(`^([a-fA-F\d]{128}|[a-fA-F\d]{64}|[a-fA-F\d]{32})\s`)
	digestLast  = regexp.MustCompile(`\s([a-fA-F\d]{128}|[a-fA-F\d]{64}|[a-fA-F\d]{32})$`)
)

func isChecksumURL(value string) bool {
	return strings.HasPrefix(value, "http://") || strings.HasPrefix(value, "https://")
}

// checksumFromURL fetches a file of checksums and picks the image's.
func (s *Service) checksumFromURL(ctx context.Context, url, href string) (string, error) {
	text, err := s.web.text(ctx, url, maxChecksumFile)
	if err != nil {
		return "", err
	}
	sum, err := findChecksum(text, imageBaseName(href))
	if err != nil {
		return "", downloadFailed(url, err)
	}
	return sum, nil
}

// imageBaseName is the last element of the path of an image's href.
func imageBaseName(href string) string {
	name, _, _ := strings.Cut(href, "?")
	name, _, _ = strings.Cut(name, "#")
	if strings.HasSuffix(name, "/") {
		return ""
	}
	return path.Base(name)
}

// findChecksum picks the digest of the file called name from text: one line that is just a digest, or the line that
// names the file. Two layouts are known: GNU coreutils ("digest  name" or "digest *name") and BSD ("SHA256 (name) =
// digest"). Lines that start with # are comments. The error is the reason alone, in ironic's words.
func findChecksum(text, name string) (string, error) {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return "", store.Errorf(store.ImageDownloadFailed, "Checksum file empty.")
	}
	if len(lines) == 1 && !strings.Contains(lines[0], " ") {
		if sum := digestAlone.FindString(lines[0]); sum != "" {
			return sum, nil
		}
		return "", store.Errorf(store.ImageDownloadFailed, "Invalid checksum file (No valid checksum found)")
	}
	quoted := regexp.QuoteMeta(name)
	named, err := regexp.Compile(`\s[*]?` + quoted + `$|\s\(` + quoted + `\)\s`)
	if err != nil {
		return "", fmt.Errorf("looking for %s: %w", name, err)
	}
	for _, line := range lines {
		if strings.HasPrefix(line, "#") || !named.MatchString(line) {
			continue
		}
		for _, layout := range []*regexp.Regexp{digestFirst, digestLast} {
			if found := layout.FindStringSubmatch(line); found != nil {
				return found[1], nil
			}
		}
	}
	return "", store.Errorf(store.ImageDownloadFailed, "Checksum file does not contain name %s", name)
}
