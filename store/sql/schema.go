package sql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// Schema is what the shared database looks like. ironic-dbsync made it; Ironmaster reads it once at start and never
// changes it.
type Schema struct {
	// Revision is alembic's identifier, which names the schema exactly.
	Revision string
	// Release is the first ironic release with this schema, such as 21.4.
	Release string
	// Series is the OpenStack series that the schema belongs to or leads to, such as 2023.1.
	Series string

	tables map[string]map[string]column
	// age is the place of the revision in revisions.
	age int
}

// revisions are the schemas that Ironmaster knows, oldest first (reference/database.md §1).
var revisions = []struct{ revision, release, series string }{
	{"4dbec778866e", "21.4", "2023.1"},
	{"fe222f476baf", "22.0", "2023.2"},
	{"163040c5513f", "22.0", "2023.2"},
	{"d163df1bab88", "22.1", "2023.2"},
	{"aa2384fee727", "23.0", "2023.2"},
	{"01f21d5e5195", "24.1", "2024.1"},
	{"66bd9c5604d5", "26.1", "2024.2"},
	{"6e9cf6acce0b", "27.0", "2025.1"},
	{"21c48150dea9", "29.0", "2025.1"},
	{"1c14278d6e33", "30.0", "2025.2"},
	{"e4827561979d", "32.0", "2025.2"},
	{"3ef27505c9fb", "32.0", "2025.2"},
	{"d0821744f9e2", "33.0", "2026.1"},
	{"763b2f62d215", "33.0", "2026.1"},
	{"15e9d00367b0", "33.0", "2026.1"},
	{"9f8c7d6e5b4a", "34.0", "2026.1"},
	{"9c0446cb6bc3", "35.0", "2026.1"},
	{"c1fd28861bb9", "35.0", "2026.1"},
	{"2a3b4c5d6e7f", "35.0", "2026.1"},
	{"e2d316b60d9e", "36.0", "2026.2"},
	{"16990309ad9d", "38.0", "2026.2"},
	{"772c0e7e8299", "39.0", "2026.2"},
	{"9fb44677ef15", "39.0", "2026.2"},
}

// HasColumn reports whether a table of this schema has a column.
func (s Schema) HasColumn(table, name string) bool {
	_, ok := s.tables[table][name]
	return ok
}

// HasTable reports whether the schema has a table.
func (s Schema) HasTable(name string) bool { return len(s.tables[name]) > 0 }

// since reports whether the schema is that of a revision or newer.
func (s Schema) since(revision string) bool {
	for i, r := range revisions {
		if r.revision == revision {
			return s.age >= i
		}
	}
	return false
}

// readSchema discovers the schema.
func readSchema(ctx context.Context, d dialect, db *sql.DB) (Schema, error) {
	columns, err := d.columns(ctx, db)
	if err != nil {
		return Schema{}, fmt.Errorf("reading the database's columns: %w", err)
	}
	s := Schema{tables: map[string]map[string]column{}}
	for _, c := range columns {
		if s.tables[c.table] == nil {
			s.tables[c.table] = map[string]column{}
		}
		s.tables[c.table][c.name] = c
	}
	if !s.HasTable("alembic_version") {
		return Schema{}, fmt.Errorf("the database holds no ironic schema: run ironic-dbsync create_schema")
	}
	if err := db.QueryRowContext(ctx, "SELECT version_num FROM alembic_version").Scan(&s.Revision); err != nil {
		return Schema{}, fmt.Errorf("reading the schema's revision: %w", err)
	}
	s.age = slices.IndexFunc(revisions, func(r struct{ revision, release, series string }) bool {
		return r.revision == s.Revision
	})
	if s.age < 0 {
		return Schema{}, fmt.Errorf("the database's schema has the unknown revision %q: this program knows ironic 21.4 to 39.0; "+
			"bring the schema there with ironic-dbsync upgrade, or use a newer program", s.Revision)
	}
	s.Release, s.Series = revisions[s.age].release, revisions[s.age].series
	for _, table := range []string{"nodes", "ports", "conductors", "conductor_hardware_interfaces"} {
		if !s.HasTable(table) {
			return Schema{}, fmt.Errorf("the database lacks the table %s, although its revision is %s", table, s.Revision)
		}
	}
	return s, nil
}

// readColumns runs a query for table, column, declared type, length in bytes and character set.
func readColumns(ctx context.Context, db *sql.DB, query string) ([]column, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var columns []column
	for rows.Next() {
		var c column
		var declared, charset string
		if err := rows.Scan(&c.table, &c.name, &declared, &c.bytes, &charset); err != nil {
			return nil, err
		}
		if strings.HasPrefix(strings.ToLower(declared), "varchar(") {
			c.chars, c.bytes = declaredLength(declared), 0
		}
		c.bmpOnly = charset == "utf8" || charset == "utf8mb3"
		columns = append(columns, c)
	}
	return columns, rows.Err()
}
