package config

import (
	"reflect"
	"slices"
)

// Follow brings settings up to another reading of the same configuration, as far as a running conductor can follow: in the
// options tagged reload. It names, as [group]name, the options that changed so and those that differ and need a restart.
func (s *Settings) Follow(read *Settings) (next *Settings, followed, restart []string, err error) {
	options, err := describe(reflect.TypeFor[Settings](), s.Release)
	if err != nil {
		return nil, nil, nil, err
	}
	merged := *s
	next = &merged
	to, from := reflect.ValueOf(next).Elem(), reflect.ValueOf(read).Elem()
	for _, o := range options {
		was, is := to.FieldByIndex(o.index), from.FieldByIndex(o.index)
		switch {
		case reflect.DeepEqual(was.Interface(), is.Interface()):
		case o.reload:
			was.Set(is)
			followed = append(followed, o.key.String())
		default:
			restart = append(restart, o.key.String())
		}
	}
	slices.Sort(followed)
	slices.Sort(restart)
	return next, followed, restart, nil
}
