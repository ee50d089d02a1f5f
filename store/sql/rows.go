package sql

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ironmaster/ironmaster/store"
)

// rows maps a model struct to those columns of its table that this schema has.
type rows[T any] struct {
	db     *DB
	table  string
	fields []store.Field
	// columns is the columns for a SELECT, qualified by the table's name.
	columns string
}

func newRows[T any](db *DB, table string) *rows[T] {
	r := &rows[T]{db: db, table: table}
	for _, f := range store.FieldsOf(reflect.TypeFor[T]()) {
		if db.schema.HasColumn(table, f.Name) {
			r.fields = append(r.fields, f)
		}
	}
	r.columns = r.list()
	return r
}

// only narrows the mapping to some columns, for scans of many rows. Columns that the schema lacks are left out.
func (r *rows[T]) only(names []string) (*rows[T], error) {
	known := store.FieldsOf(reflect.TypeFor[T]())
	narrow := &rows[T]{db: r.db, table: r.table}
	for _, name := range names {
		if !slices.ContainsFunc(known, func(f store.Field) bool { return f.Name == name }) {
			return nil, fmt.Errorf("the model of table %s has no field %q", r.table, name)
		}
	}
	for _, f := range r.fields {
		if slices.Contains(names, f.Name) {
			narrow.fields = append(narrow.fields, f)
		}
	}
	narrow.columns = narrow.list()
	return narrow, nil
}

func (r *rows[T]) list() string {
	names := make([]string, len(r.fields))
	for i, f := range r.fields {
		names[i] = r.table + "." + r.db.dialect.quote(f.Name)
	}
	return strings.Join(names, ", ")
}

// scan reads the mapped columns, and further ones behind them, from the present row.
func (r *rows[T]) scan(from *sql.Rows, into *T, further ...any) error {
	v := reflect.ValueOf(into).Elem()
	values := make([]field, len(r.fields))
	dest := make([]any, len(r.fields), len(r.fields)+len(further))
	for i, f := range r.fields {
		values[i].dest = v.Field(f.Index).Addr().Interface()
		dest[i] = &values[i]
	}
	if err := from.Scan(append(dest, further...)...); err != nil {
		return err
	}
	for i, f := range r.fields {
		if values[i].err != nil {
			return &unreadableError{r.table, f.Name, values[i].err}
		}
	}
	return nil
}

// field takes a value straight from the driver's buffer into a model's field. A value that makes no sense does not end the
// scan: whose it is becomes known only when the row was read.
type field struct {
	dest any
	err  error
}

// Scan is sql.Scanner.
func (f *field) Scan(value any) error {
	f.err = assign(f.dest, value)
	return nil
}

// unreadableError is a value that this package cannot make sense of, as another program may have left it.
type unreadableError struct {
	table, column string
	cause         error
}

func (e *unreadableError) Error() string {
	return fmt.Sprintf("table %s, column %s: %v", e.table, e.column, e.cause)
}

func (e *unreadableError) Unwrap() error { return e.cause }

// assign puts a driver's value into a model field. NULL is the zero value, and an empty object where one is due.
func assign(dest, value any) error {
	switch dest := dest.(type) {
	case *string:
		*dest, _ = text(value)
	case **string:
		if s, ok := text(value); ok {
			*dest = &s
		}
	case *int64:
		*dest, _ = value.(int64)
	case **int64:
		if n, ok := value.(int64); ok {
			*dest = &n
		}
	case *bool:
		*dest, _ = boolean(value)
	case **bool:
		if b, ok := boolean(value); ok {
			*dest = &b
		}
	case *time.Time:
		return assignTime(dest, value)
	case *store.Dict:
		raw, isBytes := value.([]byte)
		if !isBytes {
			s, _ := text(value)
			raw = []byte(s)
		}
		d, err := store.ParseDict(raw)
		if err != nil {
			return err
		}
		*dest = d
	case *[]string:
		s, ok := text(value)
		if !ok || s == "" {
			return nil
		}
		return json.Unmarshal([]byte(s), dest)
	case *[]store.Dict:
		s, ok := text(value)
		if !ok || s == "" {
			return nil
		}
		decoder := json.NewDecoder(strings.NewReader(s))
		decoder.UseNumber()
		return decoder.Decode(dest)
	default:
		return fmt.Errorf("a model field of type %T cannot be read", dest)
	}
	return nil
}

func text(value any) (s string, ok bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	}
	return "", false
}

func boolean(value any) (b, ok bool) {
	switch v := value.(type) {
	case bool:
		return v, true
	case int64:
		return v != 0, true
	}
	return false, false
}

func assignTime(dest *time.Time, value any) error {
	switch v := value.(type) {
	case nil:
		*dest = time.Time{}
	case time.Time:
		*dest = v.UTC()
	default:
		s, _ := text(value)
		t, err := time.Parse(time.DateTime, s)
		if err != nil {
			return fmt.Errorf("%q is no timestamp", s)
		}
		*dest = t
	}
	return nil
}

// ErrTooLong is the cause of a failure to store a value that does not fit its column.
var ErrTooLong = errors.New("too long for its column")

// fit checks a value against its column before the engine does, since SQLite does not check at all and PostgreSQL does
// not name the column. Reports of failures that come from outside (a BMC's answer in last_error) are mended instead: to
// refuse them would leave the node in a state that says nothing.
func (db *DB) fit(table, name string, value any) (any, error) {
	s, ok := value.(string)
	if !ok {
		return value, nil
	}
	c := db.schema.tables[table][name]
	if name == "last_error" || name == "event" || name == "maintenance_reason" {
		s = mend(s, c)
	}
	if strings.ContainsRune(s, 0) && db.dialect.refusesNUL() {
		return nil, store.Errorf(store.InvalidParameterValue, "The value of %s holds a NUL character, which the database does not take.", name)
	}
	if c.bmpOnly && strings.ContainsFunc(s, func(r rune) bool { return r > 0xffff }) {
		return nil, store.Errorf(store.InvalidParameterValue,
			"The value of %s holds a character that the database's character set (utf8mb3) lacks.", name)
	}
	if c.chars > 0 && int64(utf8.RuneCountInString(s)) > c.chars {
		return nil, store.Errorf(store.InvalidParameterValue, "The value of %s is %w: it has %d characters, the database takes %d.",
			name, ErrTooLong, utf8.RuneCountInString(s), c.chars)
	}
	if c.bytes > 0 && int64(len(s)) > c.bytes {
		return nil, store.Errorf(store.InvalidParameterValue, "The value of %s is %w: it has %d bytes, the database takes %d.",
			name, ErrTooLong, len(s), c.bytes)
	}
	return s, nil
}

// mend makes any text storable: valid UTF-8 without NUL, within the column's character set and length.
func mend(s string, c column) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if r == 0 || c.bmpOnly && r > 0xffff {
			return '\uFFFD'
		}
		return r
	}, s)
	if c.bytes > 0 && int64(len(s)) > c.bytes {
		s = shorten(s, int(c.bytes))
	}
	return s
}

// shorten cuts the middle out of a text so that at most limit bytes remain: how a failure began and how it ended say
// more than what is between.
func shorten(s string, limit int) string {
	const mark = " ... [cut] ... "
	if len(s) <= limit {
		return s
	}
	keep := max(0, limit-len(mark))
	head, tail := keep/2, len(s)-(keep-keep/2)
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return s[:head] + mark + s[tail:]
}

// insert writes a new row with all mapped columns but the id, which it returns.
func (r *rows[T]) insert(s session, snapshot store.Snapshot) (int64, error) {
	var names, marks []string
	var args []any
	for _, f := range r.fields {
		if f.Name == "id" {
			continue
		}
		value, err := r.db.fit(r.table, f.Name, snapshot[f.Name])
		if err != nil {
			return 0, err
		}
		names, marks, args = append(names, r.db.dialect.quote(f.Name)), append(marks, "?"), append(args, value)
	}
	return s.insert("INSERT INTO "+r.table+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(marks, ", ")+")", args...)
}

// update writes some columns of the rows that match the condition and returns how many matched.
func (r *rows[T]) update(s session, values store.Snapshot, where string, whereArgs ...any) (int64, error) {
	var sets []string
	var args []any
	for _, f := range r.fields {
		value, written := values[f.Name]
		if !written {
			continue
		}
		value, err := r.db.fit(r.table, f.Name, value)
		if err != nil {
			return 0, err
		}
		sets, args = append(sets, r.db.dialect.quote(f.Name)+" = ?"), append(args, value)
	}
	return s.exec("UPDATE "+r.table+" SET "+strings.Join(sets, ", ")+" WHERE "+where, append(args, whereArgs...)...)
}

// maxMarks limits the length of an IN clause.
const maxMarks = 500

// marks returns n placeholders for an IN clause.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }
