package conductor

import (
	"encoding/json"
	"testing"
)

func TestArgumentsOfRemoteMethodsAreBoundAsPythonDoes(t *testing.T) {
	m := remoteMethod{params: []string{"ident", "limit", "sort_dir"}, required: 1}
	raw := func(texts ...string) []json.RawMessage {
		var all []json.RawMessage
		for _, text := range texts {
			all = append(all, json.RawMessage(text))
		}
		return all
	}
	for _, c := range []struct {
		name   string
		args   []json.RawMessage
		kwargs jsonObject
		want   map[string]string
		fails  string
	}{
		{"by place", raw(`"a"`, `1`), nil, map[string]string{"ident": `"a"`, "limit": `1`}, ""},
		{"by name", nil, jsonObject{"ident": json.RawMessage(`"a"`), "sort_dir": json.RawMessage(`null`)},
			map[string]string{"ident": `"a"`, "sort_dir": `null`}, ""},
		{"both", raw(`"a"`), jsonObject{"limit": json.RawMessage(`1`)}, map[string]string{"ident": `"a"`, "limit": `1`}, ""},
		{"too many", raw(`1`, `2`, `3`, `4`), nil, nil, "Node.x() takes from 3 to 5 positional arguments but 6 were given"},
		{"unknown", raw(`1`), jsonObject{"frob": json.RawMessage(`1`)}, nil, "Node.x() got an unexpected keyword argument 'frob'"},
		{"twice", raw(`1`), jsonObject{"ident": json.RawMessage(`1`)}, nil, "Node.x() got multiple values for argument 'ident'"},
		{"missing", nil, nil, nil, "Node.x() missing 1 required positional argument: 'ident'"},
	} {
		bound, err := m.bind("Node.x", c.args, c.kwargs)
		if c.fails != "" {
			if err == nil || err.Error() != c.fails {
				t.Errorf("%s: error %v, want %s", c.name, err, c.fails)
			}
			continue
		}
		if err != nil || len(bound.values) != len(c.want) {
			t.Errorf("%s: %v, %v", c.name, bound.values, err)
		}
		for param, value := range c.want {
			if string(bound.values[param]) != value {
				t.Errorf("%s: %s is %s, want %s", c.name, param, bound.values[param], value)
			}
		}
	}
}
