package conductor

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// remoteClass is a class of versioned objects: what can be asked of it, and of one of its objects. An action returns the fields
// that the object has now, which may be fewer than all.
type remoteClass struct {
	methods map[string]remoteMethod
	actions map[string]remoteAction
	// since are the releases that brought methods which the oldest one lacks.
	since map[string]messaging.Release
}

type remoteAction func(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error)

// has tells whether the class has a method in a release.
func (r remoteClass) has(method string, release messaging.Release) bool {
	return release >= r.since[method]
}

// remoteClasses are those that this conductor keeps for others.
var remoteClasses = makeRemoteClasses()

// kind is a class whose objects are rows of a table, read as T.
type kind[T any] struct {
	name, table string
	missing     func(ident any) error
	// fill adds what the table does not hold.
	fill func(ctx context.Context, c *Conductor, found []*T) error
}

// find reads what a selection chooses.
func (k kind[T]) find(ctx context.Context, c *Conductor, s sql.Selection) ([]*T, error) {
	found, err := sql.Select[T](ctx, c.db, k.table, s)
	if err == nil && k.fill != nil && len(found) > 0 {
		err = k.fill(ctx, c, found)
	}
	return found, err
}

// by reads the one object with a value in a column.
func (k kind[T]) by(ctx context.Context, c *Conductor, column string, value any, further ...sql.Condition) (*T, error) {
	where := append([]sql.Condition{sql.Equals(k.table+"."+column, value)}, further...)
	if value == nil {
		return nil, k.missing("None")
	}
	found, err := k.find(ctx, c, sql.Selection{Where: where, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, k.missing(value)
	}
	return found[0], nil
}

// lookup is a method that finds one object by the parameter's value in a column.
func (k kind[T]) lookup(param, column string, further ...string) remoteMethod {
	return remoteMethod{params: append([]string{param}, further...), required: 1,
		run: func(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
			value, err := a.scalar(param)
			if err != nil {
				return nil, err
			}
			where, err := a.ownership()
			if err != nil {
				return nil, err
			}
			one, err := k.by(ctx, c, column, value, where...)
			if err != nil {
				return nil, err
			}
			return objects.Within(c.codec.EncodeAt(k.name, a.version, one), a.versions), nil
		}}
}

// get is the method that takes an id or a UUID, or what the further columns hold: a name, a MAC address.
func (k kind[T]) get(param string, further ...string) remoteMethod {
	return remoteMethod{params: []string{param}, required: 1,
		run: func(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
			value, err := a.scalar(param)
			if err != nil {
				return nil, err
			}
			column, value := identColumn(value, further)
			if column == "" {
				return nil, store.Errorf(store.InvalidIdentity, "Expected a UUID or int but received %v.", value)
			}
			one, err := k.by(ctx, c, column, value)
			if err != nil {
				return nil, err
			}
			return objects.Within(c.codec.EncodeAt(k.name, a.version, one), a.versions), nil
		}}
}

// identColumn tells by which column an identity is looked for.
func identColumn(value any, further []string) (column string, ident any) {
	text, isText := value.(string)
	if !isText {
		if _, isNumber := value.(int64); isNumber {
			return "id", value
		}
		return "", value
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return "id", n
	}
	if uuid.Validate(text) == nil {
		return "uuid", text
	}
	_, err := net.ParseMAC(text)
	isMAC := err == nil
	for _, column := range further {
		if (column == "address") == isMAC && (isMAC || logicalName.MatchString(text)) {
			return column, text
		}
	}
	return "", value
}

// pageParams are the parameters of every list.
var pageParams = []string{"limit", "marker", "sort_key", "sort_dir"}

// list is a method that lists objects: all, or, with a column, those that have the parameter's value in it.
func (k kind[T]) list(column, param string, further ...string) remoteMethod {
	m := remoteMethod{params: append(append([]string{}, pageParams...), further...)}
	if column != "" {
		m.params, m.required = append([]string{param}, m.params...), 1
	}
	m.run = func(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
		s, err := a.page(k.table)
		if err != nil {
			return nil, err
		}
		if column != "" {
			value, err := a.scalar(param)
			if err != nil {
				return nil, err
			}
			s.Where = append(s.Where, sql.Equals(k.table+"."+column, value))
		}
		further, err := a.filters(ctx, c, k.table)
		if err != nil {
			return nil, err
		}
		s.Where = append(s.Where, further...)
		found, err := k.find(ctx, c, s)
		if err != nil {
			return nil, err
		}
		return encodeAll(c, k.name, found), nil
	}
	return m
}

// encodeAll encodes the elements of a list, which go at the version of every other reply.
func encodeAll[T any](c *Conductor, name string, found []*T) []*objects.Object {
	all := make([]*objects.Object, len(found))
	for i, one := range found {
		all[i] = c.codec.Encode(name, one)
	}
	return all
}

// page reads limit, marker and order.
func (a boundArgs) page(table string) (sql.Selection, error) {
	var s sql.Selection
	var direction string
	for param, into := range map[string]any{"limit": &s.Limit, "sort_key": &s.SortKey, "sort_dir": &direction} {
		if err := a.read(param, into); err != nil {
			return s, err
		}
	}
	s.Descending = direction == "desc"
	if !a.given("marker") {
		return s, nil
	}
	var marker struct {
		Data map[string]json.RawMessage `json:"ironic_object.data"`
	}
	if err := a.read("marker", &marker); err != nil {
		return s, err
	}
	at := boundArgs{values: marker.Data}
	id, err := at.scalar("id")
	if err != nil {
		return s, err
	}
	number, ok := id.(int64)
	if !ok {
		return s, store.Errorf(store.InvalidParameterValue, "Argument marker has the wrong type")
	}
	s.After = &number
	return s, nil
}

// writer is a kind of objects that callers write, too.
type writer[T any] struct {
	kind  kind[T]
	ident func(*T) string
	// read, create, save and remove are methods of the database, hence their order of arguments.
	read   func(db *sql.DB, ctx context.Context, ident string) (*T, error)
	create func(db *sql.DB, ctx context.Context, one *T) error
	save   func(db *sql.DB, ctx context.Context, one *T) error
	remove func(db *sql.DB, ctx context.Context, one *T) error
	// fresh sets what a new object has from the configuration.
	fresh func(c *Conductor, one *T)
	// check holds the fields that are to be written to ironic's rules, and brings them into their form.
	check func(c *Conductor, one *T, changes []string) error
	// answer makes an object what its caller is told of after it was created: not all is as it would be read.
	answer func(one *T, sent *objects.Sent)
	// whole fields must have been sent for save, as ironic reads them.
	whole []string
	// noun is what the refusal of another UUID calls an object; "" for a kind that looks for the object of that UUID instead.
	noun string
}

// actions are what can be asked of an object that its caller holds.
func (w writer[T]) actions() map[string]remoteAction {
	actions := map[string]remoteAction{
		"create": func(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
			one := new(T)
			if err := sent.Into(one); err != nil {
				return nil, err
			}
			if w.check != nil {
				if err := w.check(c, one, sent.Changes); err != nil {
					return nil, err
				}
			}
			if w.fresh != nil {
				w.fresh(c, one)
			}
			if err := w.create(c.db, ctx, one); err != nil {
				return nil, err
			}
			if w.answer != nil {
				w.answer(one, sent)
			}
			return c.codec.EncodeAt(w.kind.name, "", one).Data, nil
		},
		"save": func(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
			return w.saveChanges(ctx, c, sent)
		},
		"destroy": func(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
			if w.remove == nil {
				return nil, errDestroyTakesNone(w.kind.name)
			}
			one, err := w.stored(ctx, c, sent)
			if err != nil {
				return nil, err
			}
			return map[string]any{}, w.remove(c.db, ctx, one)
		},
		"refresh": func(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
			one, err := w.stored(ctx, c, sent)
			if err != nil {
				return nil, err
			}
			return only(c.codec.EncodeAt(w.kind.name, "", one).Data, sent.Data), nil
		},
	}
	return actions
}

// stored reads the row of an object by the UUID that was sent.
func (w writer[T]) stored(ctx context.Context, c *Conductor, sent *objects.Sent) (*T, error) {
	one := new(T)
	if err := sent.Into(one); err != nil {
		return nil, err
	}
	return w.read(c.db, ctx, w.ident(one))
}

// saveChanges writes the fields that the caller changed, and no others: the rest of its object may be stale.
func (w writer[T]) saveChanges(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	for _, field := range w.whole {
		if _, given := sent.Data[field]; !given {
			return nil, errNotSent(field)
		}
	}
	changed := new(T)
	if err := sent.Into(changed); err != nil {
		return nil, err
	}
	if w.noun != "" && slices.Contains(sent.Changes, "uuid") {
		return nil, store.Errorf(store.InvalidParameterValue, "Cannot overwrite UUID for an existing %s.", w.noun)
	}
	if w.check != nil {
		if err := w.check(c, changed, sent.Changes); err != nil {
			return nil, err
		}
	}
	one, err := w.read(c.db, ctx, w.ident(changed))
	if err != nil {
		return nil, err
	}
	store.CopyFields(one, changed, sent.Changes)
	if err := w.save(c.db, ctx, one); err != nil {
		return nil, err
	}
	if one, err = w.read(c.db, ctx, w.ident(one)); err != nil {
		return nil, err
	}
	return c.codec.EncodeAt(w.kind.name, "", one).Data, nil
}
