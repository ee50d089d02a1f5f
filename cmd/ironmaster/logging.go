package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor/config"
)

// openLog opens the log that the settings ask for: a file, or standard error. Lines are JSON with use_json and otherwise
// readable: time, level, message, fields.
func openLog(s *config.Settings) (zerolog.Logger, io.Closer, error) {
	var out io.Writer = os.Stderr
	var closer io.Closer = io.NopCloser(nil)
	if path := logPath(s.Log); path != "" {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			return zerolog.Nop(), nil, fmt.Errorf("opening the log: %w", err)
		}
		out, closer = file, file
		if s.Log.UseStderr {
			out = zerolog.MultiLevelWriter(file, os.Stderr)
		}
	}
	if !s.Log.UseJSON {
		out = zerolog.ConsoleWriter{Out: out, NoColor: true, TimeFormat: "2006-01-02 15:04:05.000"}
	}
	// Without this, zerolog's times have no fraction of a second, and lines cannot be held against those of other services.
	zerolog.TimeFieldFormat = time.RFC3339Nano
	level := zerolog.InfoLevel
	if s.Log.Debug {
		level = zerolog.DebugLevel
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger(), closer, nil
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
