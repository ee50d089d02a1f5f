package main

import (
	"fmt"
	"os"
	"strings"
)

// writeSection puts a comparison into a page: the section of its release is replaced, or appended.
func writeSection(file, release string, c comparison) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the page of the results: %w", err)
	}
	if err := os.WriteFile(file, []byte(withSection(string(page), release, c)), 0o644); err != nil {
		return fmt.Errorf("writing the page of the results: %w", err)
	}
	return nil
}

func withSection(page, release string, c comparison) string {
	heading := "## ironic " + release + "\n"
	section := heading + "\n" + c.table()
	if exceptions := c.exceptions(); exceptions != "" {
		section += "\n" + exceptions
	}
	before, rest, found := strings.Cut(page, heading)
	if !found {
		return strings.TrimRight(page, "\n") + "\n\n" + section
	}
	if _, after, more := strings.Cut(rest, "\n## "); more {
		section += "\n## " + after
	}
	return before + section
}
