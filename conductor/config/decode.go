package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// option is one field of Settings, described by its tags:
//
//	opt:"name"            the option's name in its group
//	default, default29,   the default, the default since 2025.1 and the one of the newest release; a field
//	defaultNew            without one is zero, which for pointers and slices means None
//	min:"1" max:"5"       bounds of numbers, in the unit of the file
//	choices:"a|b"         the only texts allowed, in a list as elements
//	old:"name,group.name" earlier names
//	unit:"m"              the unit of a duration, seconds unless given
//	float:"true"          a duration may have a fraction
//	multi:"true"          every occurrence counts, not just the last one
//	secret:"true"         the value never appears in an error
//	reload:"true"         a running conductor follows it after SIGHUP
//	auth:"true"           read from the group that auth_section names
type option struct {
	key     key
	index   []int // of the field in Settings
	typ     reflect.Type
	def     string
	hasDef  bool
	older   []key
	choices []string
	limits  limits
	unit    time.Duration
	float   bool
	multi   bool
	secret  bool
	reload  bool
	auth    bool
}

var (
	durationType     = reflect.TypeFor[time.Duration]()
	verificationType = reflect.TypeFor[Verification]()
	fileModeType     = reflect.TypeFor[FileMode]()
	pairsType        = reflect.TypeFor[Pairs]()
)

// describe lists the options of a struct like Settings. Groups are its fields with a group tag; structs embedded in a
// group add their options to it.
func describe(settings reflect.Type, release Release) ([]*option, error) {
	var options []*option
	for _, field := range reflect.VisibleFields(settings) {
		group, ok := field.Tag.Lookup("group")
		if !ok {
			continue
		}
		for _, inner := range reflect.VisibleFields(field.Type) {
			name, ok := inner.Tag.Lookup("opt")
			if !ok {
				continue
			}
			o, err := describeField(key{group, name}, inner, release)
			if err != nil {
				return nil, err
			}
			o.index = slices.Concat(field.Index, inner.Index)
			options = append(options, o)
		}
	}
	return options, nil
}

func describeField(k key, field reflect.StructField, release Release) (*option, error) {
	tag := field.Tag
	o := &option{
		key: k, typ: field.Type, unit: time.Second,
		float: tag.Get("float") == "true", multi: tag.Get("multi") == "true",
		secret: tag.Get("secret") == "true", reload: tag.Get("reload") == "true", auth: tag.Get("auth") == "true",
	}
	for since, name := range []string{R2023_1: "default", R2025_1: "default29", Newest: "defaultNew"} {
		if def, ok := tag.Lookup(name); ok && release >= Release(since) {
			o.def, o.hasDef = def, true
		}
	}
	if text := tag.Get("choices"); text != "" {
		o.choices = strings.Split(text, "|")
	}
	if text := tag.Get("old"); text != "" {
		for name := range strings.SplitSeq(text, ",") {
			o.older = append(o.older, olderName(k.group, name))
		}
	}
	if tag.Get("unit") == "m" {
		o.unit = time.Minute
	}
	var err error
	if o.limits.min, err = bound(tag.Get("min")); err != nil {
		return nil, fmt.Errorf("describing %s: %w", k, err)
	}
	if o.limits.max, err = bound(tag.Get("max")); err != nil {
		return nil, fmt.Errorf("describing %s: %w", k, err)
	}
	return o, nil
}

func olderName(group, name string) key {
	if before, after, dotted := strings.Cut(name, "."); dotted {
		return key{before, after}
	}
	return key{group, name}
}

func bound(text string) (*float64, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	return &n, err
}

var errSelf = errors.New("refers to itself")

// decoder turns raw values into typed ones. An option may be asked for from within another's value.
type decoder struct {
	sources  *sources
	options  map[key]*option
	known    map[key]foreign // options that are not honoured but may be referred to
	computed map[key]func() (string, error)
	override map[key]setting // values that go before all sources
	open     []key           // options being read: one that comes twice refers to itself
}

func newDecoder(from *sources, options []*option, computed map[key]func() (string, error)) *decoder {
	d := &decoder{sources: from, options: map[key]*option{}, known: foreignOptions(), computed: computed}
	for _, o := range options {
		d.options[o.key] = o
	}
	return d
}

// decode returns the value of an option; the zero value stands for None.
func (d *decoder) decode(o *option) (reflect.Value, error) {
	if slices.Contains(d.open, o.key) {
		return reflect.Value{}, errSelf
	}
	d.open = append(d.open, o.key)
	defer func() { d.open = d.open[:len(d.open)-1] }()

	raw, ok, err := d.raw(o)
	if err != nil {
		return reflect.Value{}, fmt.Errorf("finding a default for %s: %w", o.key, err)
	}
	if !ok {
		return reflect.Zero(o.typ), nil
	}
	value, err := d.convert(o, raw.values)
	if err != nil {
		return reflect.Value{}, o.problem(raw, err)
	}
	return value, nil
}

// problem says which option is wrong, what it holds unless that is secret, and where it is set.
func (o *option) problem(raw setting, err error) error {
	value := strconv.Quote(strings.Join(raw.values, ", "))
	if o.secret {
		value = "(secret value)"
	}
	return fmt.Errorf("%s = %s (%s): %w", o.key, value, raw.where, err)
}

func (d *decoder) raw(o *option) (setting, bool, error) {
	if found, ok := d.override[o.key]; ok {
		return found, true, nil
	}
	if found, ok := d.sources.lookup(o.key, o.older, o.multi); ok {
		return found, true, nil
	}
	if compute := d.computed[o.key]; compute != nil {
		value, err := compute()
		return setting{values: []string{value}, where: "default"}, true, err
	}
	return setting{values: []string{o.def}, where: "default"}, o.hasDef, nil
}

func (d *decoder) convert(o *option, raw []string) (reflect.Value, error) {
	values := make([]string, len(raw))
	for i, text := range raw {
		value, err := substitute(text, o.key.group, d.text)
		if err != nil {
			return reflect.Value{}, err
		}
		values[i] = value
	}
	if o.multi {
		return convertMulti(o, values)
	}
	return o.convertOne(o.typ, values[len(values)-1])
}

// convertMulti fills a slice with one element for each occurrence.
func convertMulti(o *option, values []string) (reflect.Value, error) {
	list := reflect.MakeSlice(o.typ, 0, len(values))
	for _, text := range values {
		item, err := o.convertOne(o.typ.Elem(), text)
		if err != nil {
			return reflect.Value{}, err
		}
		list = reflect.Append(list, item)
	}
	return list, nil
}

func (o *option) convertOne(typ reflect.Type, text string) (reflect.Value, error) {
	value := reflect.New(typ).Elem()
	switch {
	case typ == durationType:
		return value, o.setDuration(value, text)
	case typ == verificationType:
		value.Set(reflect.ValueOf(parseVerification(text)))
		return value, nil
	case typ == fileModeType:
		mode, err := parseFileMode(text)
		value.SetUint(uint64(mode))
		return value, err
	case typ == pairsType:
		pairs, err := parsePairs(text)
		return reflect.ValueOf(pairs), err
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return o.convertPointer(typ, text)
	case reflect.Slice:
		list := parseList(text)
		for _, element := range list {
			if err := o.checkChoice(element); err != nil {
				return value, err
			}
		}
		return reflect.ValueOf(list), nil
	case reflect.Map:
		dict, err := parseDict(text)
		return reflect.ValueOf(dict), err
	}
	return value, o.setScalar(value, text)
}

// convertPointer reads an option that may be None. For numbers an empty text is None too, as in oslo.config.
func (o *option) convertPointer(typ reflect.Type, text string) (reflect.Value, error) {
	elem := typ.Elem()
	if elem.Kind() != reflect.String && elem.Kind() != reflect.Bool && strings.TrimFunc(text, isSpace) == "" {
		return reflect.Zero(typ), nil
	}
	inner, err := o.convertOne(elem, text)
	if err != nil {
		return reflect.Value{}, err
	}
	pointer := reflect.New(elem)
	pointer.Elem().Set(inner)
	return pointer, nil
}

func (o *option) setScalar(value reflect.Value, text string) error {
	switch value.Kind() {
	case reflect.String:
		value.SetString(text)
		return o.checkChoice(text)
	case reflect.Bool:
		b, err := parseBool(text)
		value.SetBool(b)
		return err
	case reflect.Int, reflect.Int64:
		n, err := parseInt(text)
		if err != nil {
			return err
		}
		value.SetInt(n)
		return o.limits.check(float64(n))
	case reflect.Float64:
		f, err := parseFloat(text)
		if err != nil {
			return err
		}
		value.SetFloat(f)
		return o.limits.check(f)
	}
	return fmt.Errorf("no rule to read a %s", value.Type())
}

func (o *option) setDuration(value reflect.Value, text string) error {
	n, err := o.parseSeconds(text)
	if err != nil {
		return err
	}
	if err := o.limits.check(n); err != nil {
		return err
	}
	d, err := seconds(n * o.unit.Seconds())
	value.SetInt(int64(d))
	return err
}

func (o *option) parseSeconds(text string) (float64, error) {
	if o.float {
		return parseFloat(text)
	}
	n, err := parseInt(text)
	return float64(n), err
}

func (o *option) checkChoice(text string) error {
	if o.choices == nil || slices.Contains(o.choices, text) {
		return nil
	}
	return fmt.Errorf("must be one of %s", strings.Join(o.choices, ", "))
}

// text returns an option's value as it appears when another value refers to it, and whether there is such an option.
func (d *decoder) text(k key) (string, bool, error) {
	if o, ok := d.options[k]; ok {
		value, err := d.decode(o)
		if err != nil {
			return "", true, err
		}
		return o.text(value), true, nil
	}
	other, ok := d.known[k]
	if !ok {
		return "", false, nil
	}
	def := other.def
	if slices.Contains(d.open, k) {
		return "", true, errSelf
	}
	d.open = append(d.open, k)
	defer func() { d.open = d.open[:len(d.open)-1] }()
	if found, ok := d.sources.lookup(k, nil, false); ok {
		def = found.values[len(found.values)-1]
	}
	value, err := substitute(def, k.group, d.text)
	return value, true, err
}

// text writes a value as Python would: None as nothing, True and False with capitals, durations in the option's unit.
func (o *option) text(value reflect.Value) string {
	if value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return ""
		}
		value = value.Elem()
	}
	switch v := value.Interface().(type) {
	case bool:
		if v {
			return "True"
		}
		return "False"
	case time.Duration:
		return fmt.Sprint(v.Seconds() / o.unit.Seconds())
	case []string:
		if v == nil {
			return ""
		}
		return repr(v)
	}
	return fmt.Sprint(value.Interface())
}
