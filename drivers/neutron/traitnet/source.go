package traitnet

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Source has the rules of a file, also when it changes.
type Source struct {
	path string

	mu     sync.Mutex
	read   time.Time // the file's time when it was read last
	traits []Trait
}

// Open reads the file.
func Open(path string) (*Source, error) {
	s := &Source{path: path}
	return s, s.refresh()
}

// refresh reads the file anew when its time is another than before. What can't be read leaves the rules as they are.
func (s *Source) refresh() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("reading the rules of trait-based networking: %w", err)
	}
	if info.ModTime().Equal(s.read) {
		return nil
	}
	text, err := os.ReadFile(s.path)
	if err != nil {
		return fmt.Errorf("reading the rules of trait-based networking: %w", err)
	}
	s.read = info.ModTime()
	traits, err := Parse(text)
	if err != nil {
		return fmt.Errorf("the rules of trait-based networking in %s: %w", s.path, err)
	}
	s.traits = traits
	return nil
}

// Traits are the rules of the file as it is now. One that can't be read any more, or has errors, is logged, and the rules from
// before count.
func (s *Source) Traits(log zerolog.Logger) []Trait {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		log.Error().Err(err).Msg("Trait-based networking goes by its rules from before")
	}
	return slices.Clone(s.traits)
}
