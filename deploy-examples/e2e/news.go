package main

import (
	"bufio"
	"errors"
	"os"
	"strings"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// follow prints what ironmaster events tells, until the returned function is called.
func (t *trial) follow() (end func() error, err error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	events, err := t.lab.StartService(lab.Command{
		Name: "events", Path: t.program, Args: []string{"events", "--config-file", t.lab.ConfFile}, Output: writer,
	})
	// From here on only the service writes.
	if err := errors.Join(err, writer.Close()); err != nil {
		return nil, errors.Join(err, reader.Close())
	}
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			if text, ok := worthTelling(lines.Text()); ok {
				t.say("%s", text)
			}
		}
	}()
	return func() error {
		err := events.Stop()
		<-printed
		return errors.Join(err, reader.Close())
	}, nil
}

// worthTelling takes a line of ironmaster events apart: the time of day, the node, the subject, the text. What is told is what
// a node goes through, without the time of day.
func worthTelling(line string) (string, bool) {
	_, text, found := strings.Cut(line, "  ")
	words := strings.Fields(text)
	return text, found && len(words) > 2 && words[1] != "event"
}
