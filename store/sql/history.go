package sql

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/store"
)

// maxEvent is how many bytes of an event are kept: a TEXT column of MySQL, on every engine.
const maxEvent = 65535

// shortHistories are versions of the object NodeHistory without state and duration.
var shortHistories = []string{"1.0", "1.1", "1.2"}

// AddHistory writes an entry into a node's history. Texts that do not fit are shortened, since a history without the
// entry would be worse.
func (db *DB) AddHistory(ctx context.Context, h store.HistoryEntry) error {
	columns := db.schema.tables["node_history"]
	id, now := uuid.NewString(), db.now()
	event := shorten(mend(h.Event, columns["event"]), maxEvent)
	user := cut(mend(h.User, columns["user"]), columns["user"].chars)
	names := []string{"created_at", "version", "uuid", "conductor", "event_type", "severity", "event",
		db.dialect.quote("user"), "node_id"}
	values := []any{now, nullable(db.version("NodeHistory")), id, h.Conductor, h.EventType, h.Severity, event, nullable(user),
		h.NodeID}
	// Pinned to an older release, the object does not have them although the table does.
	if db.schema.HasColumn("node_history", "duration_seconds") && !slices.Contains(shortHistories, db.version("NodeHistory")) {
		names = append(names, "state", "target_provision_state", "duration_seconds")
		values = append(values, nullable(h.State), nullable(h.TargetState), h.Duration)
	}
	statement := "INSERT INTO node_history (" + strings.Join(names, ", ") + ") VALUES (?" +
		strings.Repeat(", ?", len(names)-1) + ")"
	lost := false
	return db.write(ctx, "writing the history of a node", func(s session) error {
		_, err := s.exec(statement, values...)
		if lost && db.dialect.classify(err).kind == faultDuplicate {
			return nil
		}
		lost = true
		return err
	})
}

// CutHistories deletes the oldest entries of the nodes that a worker looks after (its row number) where a node has more than keep.
// Entries younger than age count for nothing and stay. It stops after the node with which batch entries are deleted, and tells
// whether it did.
func (db *DB) CutHistories(ctx context.Context, worker int64, keep int, age time.Duration, batch int) (deleted int, more bool, err error) {
	old := map[int64][]any{}
	var nodes []int64
	err = db.read(ctx, "reading the histories of nodes", func(s session) error {
		clear(old)
		nodes = nil
		return s.query("SELECT h.node_id, h.id FROM node_history h JOIN nodes n ON n.id = h.node_id WHERE n.conductor_affinity = ? "+
			"AND h.created_at < ? ORDER BY h.node_id, h.created_at, h.id", []any{worker, db.now().Add(-age)}, func(from *sql.Rows) error {
			var node, id int64
			if err := from.Scan(&node, &id); err != nil {
				return err
			}
			if _, known := old[node]; !known {
				nodes = append(nodes, node)
			}
			old[node] = append(old[node], id)
			return nil
		})
	})
	if err != nil {
		return 0, false, err
	}
	for _, node := range nodes {
		excess := max(0, len(old[node])-keep)
		if excess == 0 {
			continue
		}
		if deleted >= batch {
			return deleted, true, nil
		}
		for ids := range slices.Chunk(old[node][:excess], maxMarks) {
			err := db.write(ctx, "cutting the history of a node", func(s session) error {
				_, err := s.exec("DELETE FROM node_history WHERE id IN ("+marks(len(ids))+")", ids...)
				return err
			})
			if err != nil {
				return deleted, false, err
			}
			deleted += len(ids)
		}
	}
	return deleted, false, nil
}

func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// cut keeps the first characters of a text; a limit of 0 keeps all.
func cut(text string, limit int64) string {
	if limit == 0 || int64(utf8.RuneCountInString(text)) <= limit {
		return text
	}
	return string([]rune(text)[:limit])
}
