package inspection

import (
	"context"
	"encoding/json"
	"math/big"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// extraRecord is the length of a record of the tool hardware-detect: kind, device, name and value.
const extraRecord = 4

// extraHardware turns the records of hardware-detect in "data" into objects within objects in "extra".
func extraHardware(_ context.Context, w *work) error {
	data, there := w.plugin["data"]
	if !there {
		w.Log.Warn().Msg("The ramdisk sent no extra hardware information")
		return nil
	}
	records, valid := w.extraRecords(data)
	if !valid {
		w.Log.Warn().Msg("The extra hardware information is not a list of records, and is left as it is")
		if w.cfg.ExtraHardwareStrict {
			delete(w.plugin, "data")
		}
		return nil
	}
	extra := store.Dict{}
	for _, r := range records {
		if len(r) == 0 {
			continue
		}
		if !addRecord(extra, r) {
			w.Log.Warn().Interface("record", r).Msg("A record of extra hardware information is left out")
		}
	}
	w.plugin["extra"] = extra
	delete(w.plugin, "data")
	return nil
}

func (w *work) extraRecords(data any) (records [][]any, valid bool) {
	items, isList := data.([]any)
	for _, item := range items {
		r, isRecord := item.([]any)
		if !isRecord || w.cfg.ExtraHardwareStrict && len(r) != extraRecord {
			return nil, false
		}
		records = append(records, r)
	}
	return records, isList
}

// addRecord adds a record to an object. What names a record that is too short or has a name that is none stays, as in ironic.
func addRecord(extra store.Dict, r []any) bool {
	within := extra
	for i := range 2 {
		if i >= len(r) {
			return false
		}
		name, ok := keyText(r[i])
		if !ok {
			return false
		}
		inner, there := within[name].(store.Dict)
		if !there {
			inner = store.Dict{}
			within[name] = inner
		}
		within = inner
	}
	if len(r) < extraRecord {
		return false
	}
	name, ok := keyText(r[2])
	if ok {
		within[name] = wholeNumber(r[3])
	}
	return ok
}

// keyText is how a value reads as the key of a JSON object; ok is false for lists and objects.
func keyText(v any) (text string, ok bool) {
	switch v := v.(type) {
	case nil:
		return "null", true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// mostDigits bounds the texts that Python's int() reads.
const mostDigits = 4300

// wholeNumber is a value as the whole number that Python's int() makes of it, or itself.
func wholeNumber(v any) any {
	switch v := v.(type) {
	case bool:
		if v {
			return json.Number("1")
		}
		return json.Number("0")
	case json.Number:
		// A float64 has 309 digits at most, however large the exponent that a ramdisk sends.
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			n, _ := big.NewFloat(f).Int(nil)
			return json.Number(n.String())
		}
	case string:
		digits := strings.TrimPrefix(strings.TrimSpace(v), "+")
		if len(digits) > mostDigits {
			return v
		}
		if n, ok := new(big.Int).SetString(digits, 10); ok {
			return json.Number(n.String())
		}
	}
	return v
}
