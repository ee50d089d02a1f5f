package redfish

import (
	"encoding/json"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ironmaster/ironmaster/store"
)

// wantedSetting is one of the settings that a step is to bring about.
type wantedSetting struct {
	name  string
	value any
}

type wantedSettingList []wantedSetting

func wantedSettings(args store.Dict) (wantedSettingList, error) {
	var all wantedSettingList
	for _, item := range args.List("settings") {
		one := store.Dict{"setting": item}.Dict("setting")
		if one.String("name") == "" {
			return nil, store.Errorf(store.InvalidParameterValue, "settings: every item needs a name and a value")
		}
		all = append(all, wantedSetting{one.String("name"), one["value"]})
	}
	return all, nil
}

func (w wantedSettingList) values() map[string]any {
	values := map[string]any{}
	for _, one := range w {
		values[one.name] = one.value
	}
	return values
}

// fit holds settings against what the firmware's registry says of them, and gives them the types that it wants. Those that it does not know
// stay as they are.
func (w wantedSettingList) fit(node string, known []*store.BIOSSetting) error {
	var invalid []string
	for i := range w {
		at := slices.IndexFunc(known, func(k *store.BIOSSetting) bool { return k.Name == w[i].name })
		if at >= 0 && !w[i].fit(known[at]) {
			invalid = append(invalid, w[i].name)
		}
	}
	if len(invalid) > 0 {
		return store.Errorf(store.InvalidParameterValue, "Redfish BIOS apply_configuration failed for node %s: invalid value for setting(s): %s",
			node, strings.Join(invalid, ", "))
	}
	return nil
}

func (w *wantedSetting) fit(k *store.BIOSSetting) bool {
	if k.ReadOnly != nil && *k.ReadOnly {
		return false
	}
	if k.Type == nil {
		return true
	}
	text, isText := w.value.(string)
	switch *k.Type {
	case "Enumeration":
		return len(k.AllowableValues) == 0 || isText && slices.Contains(k.AllowableValues, text)
	case "Integer":
		n, ok := pythonInt(w.value)
		if !ok || k.LowerBound != nil && n < *k.LowerBound || k.UpperBound != nil && n > *k.UpperBound {
			return false
		}
		w.value = json.Number(strconv.FormatInt(n, 10))
	case "Boolean":
		if isText {
			w.value = strings.EqualFold(text, "true")
		}
	case "String":
		size := int64(utf8.RuneCountInString(text))
		return isText && (k.MinLength == nil || size >= *k.MinLength) && (k.MaxLength == nil || size <= *k.MaxLength)
	}
	return true
}

// pythonInt is what Python's int makes of a value of JSON, as far as 64 bits go.
func pythonInt(value any) (int64, bool) {
	switch v := value.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		return n, err == nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, true
		}
		f, ok := new(big.Float).SetString(v.String())
		if !ok {
			return 0, false
		}
		n, accuracy := f.Int64()
		return n, accuracy == big.Exact || f.Cmp(big.NewFloat(1<<62)) < 0 && f.Cmp(big.NewFloat(-1<<62)) > 0
	}
	return 0, false
}

// pending are the settings that wait for a restart. A BMC that does not tell has none.
func (s *system) pending(f *biosResource) map[string]any {
	if f.Settings.Object.Path == "" {
		return nil
	}
	next, err := s.biosAt(f.Settings.Object.Path)
	if err != nil {
		s.task.Log.Info().Str("reason", s.session.explain(err)).Msg("Which BIOS settings wait for a restart can't be told")
		return nil
	}
	return next.Values
}

// isAll tells that all settings are as they are to be, and no restart makes them others.
func (f *biosResource) isAll(wanted wantedSettingList, pending map[string]any) bool {
	return !slices.ContainsFunc(wanted, func(w wantedSetting) bool {
		now, next := f.Values[w.name], pending[w.name]
		_, waits := pending[w.name]
		return !reflect.DeepEqual(now, w.value) || waits && !reflect.DeepEqual(next, w.value)
	})
}

// missing are the settings that have not taken effect, or that some BMCs have not done with: those whose pending settings are the changed
// ones alone take no others before.
func (f *biosResource) missing(wanted store.Dict, pending map[string]any) map[string]any {
	missed := map[string]any{}
	changedAlone := len(pending) <= len(wanted)
	for name, value := range wanted {
		now, has := f.Values[name]
		_, waits := pending[name]
		if !has && value != nil || !reflect.DeepEqual(now, value) || changedAlone && waits {
			missed[name] = value
		}
	}
	return missed
}
