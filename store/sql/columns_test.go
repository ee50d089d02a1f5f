package sql_test

import (
	"bufio"
	stdsql "database/sql"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// pythonDumps asks a real Python what json.dumps makes of a value.
const pythonDumps = `
import json, sys
for line in sys.stdin:
    print(json.dumps(json.loads(line), sort_keys=True), flush=True)
`

func TestColumnsHoldWhatPythonWouldWrite(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", pythonDumps)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	answers := bufio.NewReader(out)
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		n := createNode(t, db, nil)
		if got := query[string](t, raw, "SELECT extra FROM nodes"); got != "{}" {
			t.Errorf("an unset object is stored as %q", got)
		}
		rapid.Check(t, func(rt *rapid.T) {
			n.Extra = jsonObject(3).Draw(rt, "extra")
			want, err := dumps(in, answers, n.Extra)
			if err != nil {
				rt.Fatal(err)
			}
			if err := db.SaveNode(t.Context(), n, sql.Guard{}); err != nil {
				rt.Fatal(err)
			}
			if got := query[string](t, raw, "SELECT extra FROM nodes"); got != want {
				rt.Fatalf("stored  %s\nPython: %s", got, want)
			}
			back, err := db.Node(t.Context(), n.UUID)
			if err != nil {
				rt.Fatal(err)
			}
			if back.Snapshot["extra"] != want {
				rt.Fatalf("read back as %s\nstored      %s", back.Snapshot["extra"], want)
			}
		})
	})
}

func dumps(in io.Writer, answers *bufio.Reader, value any) (string, error) {
	line, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	if _, err := in.Write(append(line, '\n')); err != nil {
		return "", err
	}
	answer, err := answers.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

// anyText leaves out DEL, the one character that store.AppendJSON writes as it is and Python as \u007f.
func anyText() *rapid.Generator[string] {
	return rapid.Map(rapid.String(), func(s string) string { return strings.ReplaceAll(s, "\x7f", "") })
}

func jsonObject(depth int) *rapid.Generator[store.Dict] {
	return rapid.Custom(func(t *rapid.T) store.Dict {
		return rapid.MapOfN(anyText(), jsonValue(depth-1), 0, 4).Draw(t, "object")
	})
}

func jsonValue(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), anyText().AsAny(), rapid.Int64().AsAny(),
		rapid.SampledFrom([]json.Number{"0.1", "-2.5e-07", "123456789012345678901234567890"}).AsAny(),
	}
	if depth <= 0 {
		return rapid.OneOf(leaves...)
	}
	return rapid.OneOf(append(leaves,
		rapid.Custom(func(t *rapid.T) any { return map[string]any(jsonObject(depth-1).Draw(t, "nested")) }),
		rapid.SliceOfN(jsonValue(depth-1), 0, 3).AsAny())...)
}

// What ironic reads beside us must look as if SQLAlchemy had written it.
func TestStoredForms(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		n := createNode(t, db, func(n *store.Node) { n.Maintenance = true })
		asText := map[string]string{"sqlite": "CAST(%s AS TEXT)", "mariadb": "CAST(%s AS CHAR)", "postgresql": "%s::text"}[e.name]
		for column, want := range map[string]string{
			"created_at": map[string]string{"sqlite": "2026-11-22 07:10:39.167523", "mariadb": "2026-11-22 07:10:39",
				"postgresql": "2026-11-22 07:10:39.167523"}[e.name],
			"maintenance": map[string]string{"sqlite": "1", "mariadb": "1", "postgresql": "true"}[e.name],
			"protected":   map[string]string{"sqlite": "0", "mariadb": "0", "postgresql": "false"}[e.name],
			"clean_step":  "{}", "conductor_group": "", "version": "1.37", "provision_state": "enroll",
		} {
			if got := query[string](t, raw, "SELECT "+strings.ReplaceAll(asText, "%s", column)+" FROM nodes"); got != want {
				t.Errorf("%s is %q, want %q", column, got, want)
			}
		}
		for _, column := range []string{"name", "instance_uuid", "updated_at", "provision_updated_at", "automated_clean"} {
			if got := query[stdsql.NullString](t, raw, "SELECT "+strings.ReplaceAll(asText, "%s", column)+" FROM nodes"); got.Valid {
				t.Errorf("%s is %q, want NULL", column, got.String)
			}
		}
		if !n.CreatedAt.Equal(newClock().now().Truncate(e.precision)) || n.CreatedAt.Location() != time.UTC {
			t.Errorf("created_at in memory is %v", n.CreatedAt)
		}
	})
}

// Rows of a Python conductor hold NULL where ours hold {}, keys in any order, and NULL flags.
func TestRowsOfOthersAreRead(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		n := createNode(t, db, nil)
		_, err := raw.ExecContext(t.Context(), `UPDATE nodes SET extra = NULL, maintenance = NULL, `+
			`driver_info = '{"z": 1.50, "a": 12345678901234567890, "\u00fc": null}'`)
		if err != nil {
			t.Fatal(err)
		}
		n = readNode(t, db, n.UUID)
		if n.Extra == nil || len(n.Extra) != 0 || n.Maintenance || n.DriverInfo.String("a") != "12345678901234567890" {
			t.Errorf("read %v %v %v", n.Extra, n.Maintenance, n.DriverInfo)
		}
		n.PowerState = store.PowerOn
		if err := db.SaveNode(t.Context(), n, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
		if got := query[string](t, raw, "SELECT driver_info FROM nodes"); !strings.HasPrefix(got, `{"z": 1.50`) {
			t.Errorf("an unchanged column was rewritten as %s", got)
		}
	})
}

// Python stores NaN in JSON where a user asks for it.
func TestAnUnreadableRowHidesNoOther(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		bad, good := createNode(t, db, nil), createNode(t, db, nil)
		if _, err := raw.ExecContext(t.Context(), `UPDATE nodes SET extra = '{"x": NaN}' WHERE id = `+itoa(bad.ID)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Node(t.Context(), bad.UUID); err == nil || !strings.Contains(err.Error(), "column extra") {
			t.Errorf("reading the bad row: %v", err)
		}
		if nodes, err := db.Nodes(t.Context(), sql.Filter{}); err != nil || len(nodes) != 1 || nodes[0].UUID != good.UUID {
			t.Errorf("listing: %v, %v", nodes, err)
		}
	})
}
