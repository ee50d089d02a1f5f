package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store/local"
	"github.com/ironmaster/ironmaster/store/sql"
)

// unlockTimeout is how long freeing a node may take: the running conductor asks its database.
const unlockTimeout = 15 * time.Second

// releaseLock has the running conductor free a node, or does so on its state file and the database when none runs.
func releaseLock(ctx context.Context, s *config.Settings, node string) (done conductor.Unlocked, err error) {
	ctx, cancel := context.WithTimeout(ctx, unlockTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost,
		"http://"+dialAddress(s.Ironmaster.AdminListen)+"/locks/release?node="+url.QueryEscape(node), nil)
	if err != nil {
		return done, fmt.Errorf("[ironmaster]admin_listen: %w", err)
	}
	request.Header.Set(conductor.OperatorHeader, "locks")
	err = answerOf(request, &done)
	if err == nil || !errors.As(err, new(*net.OpError)) {
		return done, err
	}
	memory, err := openLeftBy(s.Ironmaster, func(path string) (*local.DB, error) {
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		return local.Open(path, local.Options{})
	})
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, memory.Close()) }()
	db, err := sql.Open(ctx, databaseConfig(s, zerolog.Nop()))
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	release, err := messaging.ParseRelease(db.Schema().Release)
	if err != nil {
		return done, fmt.Errorf("the database has a schema that this build does not know: %w", err)
	}
	cfg, err := workerConfig(s, release)
	if err != nil {
		return done, err
	}
	return conductor.Unlocker{DB: db, Local: memory, Config: cfg, Now: time.Now}.Unlock(ctx, node)
}

func printUnlocked(out io.Writer, done conductor.Unlocked, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(done)
	}
	text := "Node " + done.Node + " is not locked."
	if done.Freed != "" {
		text = "Freed node " + done.Node + " from " + done.Freed + "."
	}
	_, err := fmt.Fprintln(out, text)
	return err
}
