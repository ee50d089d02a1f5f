package config

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// goldenFile holds what oslo.config itself answers; testdata/golden.py tells how it was made.
type goldenFile struct {
	Parse []struct {
		In  string
		Out map[string]map[string][]string // null: an error
	}
	Int        []goldenValue[int64]
	Float      []goldenValue[float64]
	Bool       []goldenValue[bool]
	List       []goldenValue[[]string]
	Dict       []goldenValue[map[string]string]
	Substitute []goldenValue[string]
}

// goldenValue has the value in a list of one; an error or None is null.
type goldenValue[T any] struct {
	In  string
	Out []T
}

func readGolden(t *testing.T) goldenFile {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden goldenFile
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	return golden
}

func TestFilesParseAsInOslo(t *testing.T) {
	for _, c := range readGolden(t).Parse {
		sections, err := parse("f", []byte(c.In))
		if err != nil {
			if c.Out != nil {
				t.Errorf("parse(%q): %v, oslo.config reads %q", c.In, err, c.Out)
			}
			continue
		}
		got := map[string]map[string][]string{}
		for _, s := range sections {
			name := groupName(s.name)
			if got[name] == nil {
				got[name] = map[string][]string{}
			}
			for _, a := range s.assignments {
				got[name][a.key] = append(got[name][a.key], a.value)
			}
		}
		if !reflect.DeepEqual(got, c.Out) {
			t.Errorf("parse(%q) = %q, oslo.config reads %q", c.In, got, c.Out)
		}
	}
}

func TestValuesConvertAsInOslo(t *testing.T) {
	golden := readGolden(t)
	compare(t, "int", golden.Int, parseInt)
	compare(t, "float", golden.Float, parseFloat)
	compare(t, "bool", golden.Bool, parseBool)
	compare(t, "list", golden.List, func(text string) ([]string, error) { return parseList(text), nil })
	compare(t, "dict", golden.Dict, parseDict)
}

func TestReferencesResolveAsInOslo(t *testing.T) {
	type Inner struct {
		Own  string `opt:"own" default:"inner"`
		Text string `opt:"text"`
	}
	type settings struct {
		Default struct {
			MyIP   string   `opt:"my_ip" default:"192.0.2.1"`
			Unset  *string  `opt:"unset"`
			Flag   bool     `opt:"flag" default:"true"`
			Number int      `opt:"number" default:"7"`
			List   []string `opt:"list" default:"a,b"`
			Chain  string   `opt:"chain" default:"<$my_ip>"`
			Own    string   `opt:"own" default:"outer"`
		} `group:"DEFAULT"`
		Group Inner `group:"grp"`
	}
	options, err := describe(reflect.TypeFor[settings](), Newest)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "substitute", readGolden(t).Substitute, func(text string) (string, error) {
		d := newDecoder(&sources{}, options, nil)
		o := d.options[key{"grp", "text"}]
		o.def, o.hasDef = text, true
		value, err := d.decode(o)
		if err != nil {
			return "", err
		}
		return value.String(), nil
	})
}

func compare[T any](t *testing.T, kind string, cases []goldenValue[T], convert func(string) (T, error)) {
	t.Helper()
	if len(cases) == 0 {
		t.Errorf("%s: no cases", kind)
	}
	for _, c := range cases {
		got, err := convert(c.In)
		if err != nil {
			if c.Out != nil {
				t.Errorf("%s %q: %v, oslo.config reads %v", kind, c.In, err, c.Out[0])
			}
			continue
		}
		if c.Out == nil {
			t.Errorf("%s %q = %v, oslo.config refuses it", kind, c.In, got)
		} else if !reflect.DeepEqual(got, c.Out[0]) {
			t.Errorf("%s %q = %v, oslo.config reads %v", kind, c.In, got, c.Out[0])
		}
	}
}
