package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// mismatch is one place in which a case differs from its recording.
type mismatch struct {
	path      string
	want, got any
}

func (m mismatch) String() string {
	return fmt.Sprintf("%s: want %s, got %s", m.path, brief(m.want), brief(m.got))
}

func brief(v any) string {
	if v == absent {
		return "nothing"
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if s := string(encoded); len(s) > 400 {
		return s[:400] + "..."
	}
	return string(encoded)
}

type nothing struct{}

var absent = nothing{}

var (
	times   = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?`)
	objects = regexp.MustCompile(`object at 0x[0-9a-f]+`)
	tokens  = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	// hashes are passwords as crypt(3) hashes them with SHA-256 and a salt.
	hashes = regexp.MustCompile(`^\$5\$[./A-Za-z0-9]{16}\$[./A-Za-z0-9]{43}$`)
)

// unordered tells that a list comes from a Python set, so that its order means nothing.
func unordered(key string) bool {
	return key == "ironic_object.changes" || key == "obj_what_changed" || strings.HasPrefix(key, "enabled_")
}

// plain makes values comparable: texts that hold JSON are decoded, and times and generated tokens lose what differs from
// run to run.
func plain(key string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, inner := range v {
			out[k] = plain(k, inner)
		}
		return out
	case row:
		return plain(key, map[string]any(v))
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(key, v[i])
		}
		if unordered(key) {
			slices.SortFunc(out, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		return out
	case string:
		return plainText(key, v)
	case json.Number:
		if name := rowName(key); name != "" {
			return name
		}
		return v.String()
	default:
		return v
	}
}

func plainText(key, v string) any {
	if strings.HasPrefix(v, "{") || strings.HasPrefix(v, "[") {
		decoder := json.NewDecoder(strings.NewReader(v))
		decoder.UseNumber()
		var inner any
		if decoder.Decode(&inner) == nil && !decoder.More() {
			return plain(key, inner)
		}
	}
	if name := rowName(key); name != "" {
		return name
	}
	if slices.Contains([]string{"agent_secret_token", "agent_token", "novnc_secret_token"}, key) && tokens.MatchString(v) {
		return "<token>"
	}
	if key == "hashed_rescue_password" && hashes.MatchString(v) {
		return "<hash>"
	}
	return objects.ReplaceAllString(times.ReplaceAllString(v, "<time>"), "object at <address>")
}

// rowName stands for the number of a row that the database chose, in a column that refers to it; "" in all others.
func rowName(column string) string {
	switch column {
	case "conductor_affinity":
		return "<conductor>"
	case "allocation_id":
		return "<allocation>"
	}
	return ""
}

// compare returns where two plain values differ.
func compare(at string, want, got any) []mismatch {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		var all []mismatch
		keys := slices.Collect(maps.Keys(w))
		for key := range g {
			if _, ok := w[key]; !ok {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			all = append(all, compare(at+"."+key, member(w, key), member(g, key))...)
		}
		return all
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			break
		}
		var all []mismatch
		for i := range w {
			all = append(all, compare(fmt.Sprintf("%s.%d", at, i), w[i], g[i])...)
		}
		return all
	default:
		if want == nil || got == nil || want == absent || got == absent {
			if want == got {
				return nil
			}
			break
		}
		if _, ok := got.(map[string]any); ok {
			break
		}
		if _, ok := got.([]any); ok {
			break
		}
		if want == got {
			return nil
		}
	}
	return []mismatch{{path: at, want: want, got: got}}
}

func member(m map[string]any, key string) any {
	if v, ok := m[key]; ok {
		return v
	}
	return absent
}

// covered tells whether a deliberate difference names the place, itself or one above it. A * in a pattern stands for
// anything.
func covered(patterns []string, place string) bool {
	for _, pattern := range patterns {
		quoted := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
		if regexp.MustCompile(`(?s)^` + quoted + `(\.|$)`).MatchString(place) {
			return true
		}
	}
	return false
}
