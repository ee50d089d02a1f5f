package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor/config"
)

// serviceLog is the log of a conductor. Its level and file can change while it is written.
type serviceLog struct {
	zerolog.Logger
	level *logLevel
	file  *logFile // nil without one
}

// openLog opens the log that the settings ask for: a file, or standard error. Lines are JSON with use_json and otherwise
// readable: time, level, message, fields.
func openLog(s *config.Settings) (*serviceLog, error) {
	l := &serviceLog{level: &logLevel{}}
	var out io.Writer = os.Stderr
	if path := logPath(s.Log); path != "" {
		l.file = &logFile{path: path}
		if err := l.file.Reopen(); err != nil {
			return nil, err
		}
		if out = l.file; s.Log.UseStderr {
			out = zerolog.MultiLevelWriter(l.file, os.Stderr)
		}
	}
	if !s.Log.UseJSON {
		out = zerolog.ConsoleWriter{Out: out, NoColor: true, TimeFormat: "2006-01-02 15:04:05.000"}
	}
	// Without this, zerolog's times have no fraction of a second, and lines cannot be held against those of other services.
	zerolog.TimeFieldFormat = time.RFC3339Nano
	l.level.set(s.Log)
	l.Logger = zerolog.New(out).Sample(l.level).With().Timestamp().Logger()
	return l, nil
}

// reload follows [DEFAULT]debug and opens the file anew, which may have been moved away.
func (l *serviceLog) reload(s config.Log) error {
	l.level.set(s)
	if l.file == nil {
		return nil
	}
	return l.file.Reopen()
}

func (l *serviceLog) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// logLevel is the lowest level that is logged. As a sampler it is asked before a line is put together, and by every logger
// that was derived from the first one.
type logLevel struct{ lowest atomic.Int32 }

func (l *logLevel) set(s config.Log) {
	lowest := zerolog.InfoLevel
	if s.Debug {
		lowest = zerolog.DebugLevel
	}
	l.lowest.Store(int32(lowest))
}

// Sample is zerolog.Sampler.
func (l *logLevel) Sample(level zerolog.Level) bool { return int32(level) >= l.lowest.Load() }

// logFile is a file that can be opened anew, as logrotate wants it.
type logFile struct {
	path string
	mu   sync.Mutex
	file *os.File
}

// Reopen opens the file under its name and closes the one that was written so far. After an error that one stays.
func (f *logFile) Reopen() error {
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != nil {
		_ = f.file.Close()
	}
	f.file = file
	return nil
}

func (f *logFile) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Write(line)
}

func (f *logFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}

func logPath(l config.Log) string {
	switch {
	case l.File == "" && l.Dir == "":
		return ""
	case l.File == "":
		return filepath.Join(l.Dir, "ironic-conductor.log")
	case filepath.IsAbs(l.File) || l.Dir == "":
		return l.File
	}
	return filepath.Join(l.Dir, l.File)
}
