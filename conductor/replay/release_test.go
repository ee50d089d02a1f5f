package replay

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Cases are asked and recorded on ironic 21.4. What another release makes of them stands in testdata/changes-RELEASE.jsonl,
// as changes to what the release before it does: one line for each case that comes out otherwise.
// REPLAY_CONDUCTOR=python REPLAY_RECORD=1 writes that file. The file of 21.4 has only cases with pins.

// releaseRecord is a release of ironic that was recorded, with the versions of the objects that its rows carry.
type releaseRecord struct {
	name     string
	versions map[string]string
}

// releases that were recorded, oldest first.
var releases = []releaseRecord{
	{"21.4", map[string]string{"nodes": "1.37", "ports": "1.11", "portgroups": "1.5", "node_history": "1.0",
		"node_traits": "1.0", "bios_settings": "1.1", "volume_connectors": "1.0", "volume_targets": "1.0", "allocations": "1.1",
		"chassis": "1.3", "deploy_templates": "1.1", "node_inventory": "1.0"}},
	{"29.0", map[string]string{"nodes": "1.41", "ports": "1.11", "portgroups": "1.5", "node_history": "1.0",
		"node_traits": "1.0", "bios_settings": "1.1", "volume_connectors": "1.0", "volume_targets": "1.0", "allocations": "1.1",
		"chassis": "1.3", "deploy_templates": "1.1", "node_inventory": "1.0", "firmware_information": "1.0", "runbooks": "1.0",
		"inspection_rules": "1.0"}},
	{"39.0", map[string]string{"nodes": "1.44", "ports": "1.16", "portgroups": "1.9", "node_history": "1.3",
		"node_traits": "1.1", "bios_settings": "1.2", "volume_connectors": "1.1", "volume_targets": "1.1", "allocations": "1.3",
		"chassis": "1.4", "deploy_templates": "1.2", "node_inventory": "1.1", "firmware_information": "1.2", "runbooks": "1.2",
		"runbook_traits": "1.0", "inspection_rules": "1.1"}},
}

// recordedRelease is the place in releases of the newest one that is not newer than a version of ironic.
func recordedRelease(version string) (int, error) {
	for i, r := range slices.Backward(releases) {
		if !older(version, r.name) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("ironic %s is older than %s, the oldest that was recorded", version, releases[0].name)
}

func older(a, b string) bool {
	number := func(s string) int {
		major, minor, _ := strings.Cut(s, ".")
		x, _ := strconv.Atoi(major)
		y, _ := strconv.Atoi(minor)
		return x*1000 + y
	}
	return number(a) < number(b)
}

// findRelease says which recordings the lab's ironic is held against, and reads them.
func (w *world) findRelease(t *testing.T) {
	t.Helper()
	version, err := w.lab.IronicVersion()
	if err == nil {
		w.release, err = recordedRelease(version)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ironic %s is held against what %s did", version, releases[w.release].name)
	w.changes = make([]map[string]any, len(releases))
	for i := range w.release + 1 {
		w.changes[i] = w.readChanges(t, releases[i].name)
	}
}

func changesFile(release string) string {
	return filepath.Join("testdata", "changes-"+release+".jsonl")
}

func (w *world) readChanges(t *testing.T, release string) map[string]any {
	t.Helper()
	all := map[string]any{}
	content, err := os.ReadFile(changesFile(release))
	if os.IsNotExist(err) && w.recording() {
		return all
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(strings.NewReader(w.places().Replace(string(content))))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var line struct {
			Name    string
			Changes any
		}
		if err := decode(lines.Text(), &line); err != nil {
			t.Fatalf("%s: %v", changesFile(release), err)
		}
		all[line.Name] = line.Changes
	}
	return all
}

// recording tells that this run writes down what the Python conductor does.
func (w *world) recording() bool { return w.python && os.Getenv("REPLAY_RECORD") != "" }

// recordingChanges tells that it does so for a release whose recordings are changes to those of another.
func (w *world) recordingChanges() bool { return w.recording() && w.release > 0 }

// wanted is what the release makes of a case of which 21.4 made the plain value first.
func (w *world) wanted(name string, first any) any {
	for i := range w.release + 1 {
		first = changed(first, w.changes[i][name])
	}
	return first
}

// note writes down what the release made of a case.
func (w *world) note(t *testing.T, name string, first, got any) {
	t.Helper()
	for i := range w.release {
		first = changed(first, w.changes[i][name])
	}
	delete(w.changes[w.release], name)
	if change := changeOf(first, got); change != nil {
		w.changes[w.release][name] = change
	}
	var all bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(w.changes[w.release])) {
		fmt.Fprintln(&all, w.canonical(map[string]any{"name": name, "changes": w.changes[w.release][name]}))
	}
	if err := os.WriteFile(changesFile(releases[w.release].name), all.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

const (
	becomes = "="
	gone    = "-"
)

// changeOf returns what turns one plain value into another, nil when they are the same: an object of changes by key or
// index, {"=": value}, or {"-": true} for a key that goes.
func changeOf(old, fresh any) any {
	if len(compare("", old, fresh)) == 0 {
		return nil
	}
	before, after := members(old), members(fresh)
	_, wasList := old.([]any)
	_, isList := fresh.([]any)
	if before == nil || after == nil || wasList != isList || isList && len(before) != len(after) {
		return map[string]any{becomes: fresh}
	}
	changes := map[string]any{}
	for key, value := range after {
		old, known := before[key]
		if !known {
			changes[key] = map[string]any{becomes: value}
		} else if change := changeOf(old, value); change != nil {
			changes[key] = change
		}
	}
	for key := range before {
		if _, stays := after[key]; !stays {
			changes[key] = map[string]any{gone: true}
		}
	}
	return changes
}

// members returns the parts of an object or a list by key, nil for other values.
func members(value any) map[string]any {
	switch v := value.(type) {
	case map[string]any:
		return v
	case []any:
		all := map[string]any{}
		for i := range v {
			all[strconv.Itoa(i)] = v[i]
		}
		return all
	}
	return nil
}

// changed is changeOf the other way round.
func changed(old, change any) any {
	changes, ok := change.(map[string]any)
	if !ok {
		return old
	}
	if value, ok := changes[becomes]; ok {
		return value
	}
	parts := maps.Clone(members(old))
	if parts == nil {
		parts = map[string]any{}
	}
	for key, change := range changes {
		if inner, ok := change.(map[string]any); ok && inner[gone] == true {
			delete(parts, key)
			continue
		}
		parts[key] = changed(parts[key], change)
	}
	list, ok := old.([]any)
	if !ok {
		return parts
	}
	all := make([]any, len(list))
	for i := range all {
		all[i] = parts[strconv.Itoa(i)]
	}
	return all
}

// account is what came of a case, as a plain value without what differs from run to run.
func account(r recording) map[string]any {
	var exchanges, replies []any
	for _, e := range r.HTTP {
		exchanges = append(exchanges, map[string]any{"response": map[string]any{
			"status": cmp.Or(e.Response.Status.String(), "0"), "body": dropIDs(r, plain("", e.Response.Body))}})
	}
	for _, reply := range r.Replies[:min(1, len(r.Replies))] {
		replies = append(replies, map[string]any{"message": map[string]any{
			"result": dropIDs(r, plain("", reply.Message["result"])), "failure": failure(reply.Message["failure"])}})
	}
	out := map[string]any{"kind": r.Kind, "http": exchanges, "replies": replies, "db_changes": plainChanges(r.Changes)}
	if r.Request != nil {
		out["request"] = map[string]any{"message": map[string]any{
			"method": r.Request.Message["method"], "version": r.Request.Message["version"],
			"args": plainRequest(r.Request.Message["args"])}}
	}
	out["notifications"] = anyList(r.Notifications)
	if r.Agent != nil {
		out["agent"] = plain("", r.Agent)
	}
	if r.Neutron != nil {
		out["neutron"] = anyList(r.Neutron)
	}
	return out
}

func anyList(texts []string) []any {
	all := make([]any, len(texts))
	for i := range texts {
		all[i] = texts[i]
	}
	return all
}

// plainChanges keeps of the changed rows what a case is held against: new values, without those that only tell when.
func plainChanges(changes map[string]any) map[string]any {
	all := map[string]any{}
	for place, change := range changes {
		name, _, _ := strings.Cut(place, "/")
		if !slices.ContainsFunc(tables, func(t table) bool { return t.name == name }) {
			continue
		}
		fresh, isNew := created(change)
		pairs, isChange := change.(map[string]any)
		kept := map[string]any{}
		switch {
		case isNew:
			for column, value := range fresh {
				if value != nil && column != "id" && !slices.Contains(volatile[name], column) {
					kept[column] = plain(column, text(value))
				}
			}
			all[objects.ReplaceAllString(place, "object at <address>")] = map[string]any{"created": kept}
		case isChange:
			for column, value := range columns(pairs, 1) {
				if slices.Contains(volatile[name], column) {
					continue
				}
				before, after := plain(column, text(columns(pairs, 0)[column])), plain(column, text(value))
				if len(compare("", before, after)) > 0 {
					kept[column] = []any{nil, after}
				}
			}
			if len(kept) > 0 {
				all[place] = kept
			}
		default:
			all[place] = change
		}
	}
	return all
}

// expectation is what the release should make of a case of which 21.4 made what was recorded.
func (w *world) expectation(t *testing.T, recorded recording) recording {
	t.Helper()
	whole := w.wanted(recorded.name, account(recorded))
	encoded, err := json.Marshal(whole)
	want := recording{name: recorded.name}
	if err == nil {
		err = decode(string(encoded), &want)
	}
	if err != nil {
		t.Fatalf("%s: %v", recorded.name, err)
	}
	return want
}

func TestTheNewestRecordedReleaseIsChosen(t *testing.T) {
	for version, want := range map[string]string{"21.4": "21.4", "26.1": "21.4", "29.0": "29.0", "32.0": "29.0", "39.0": "39.0",
		"39.1": "39.0", "40.0": "39.0"} {
		place, err := recordedRelease(version)
		if err != nil || releases[place].name != want {
			t.Errorf("ironic %s is held against %s (%v), want %s", version, releases[place].name, err, want)
		}
	}
	if _, err := recordedRelease("20.1"); err == nil {
		t.Error("ironic 20.1 is older than all recordings, and was held against one")
	}
}

func TestChangesLeadToWhatTheyWereMadeFrom(t *testing.T) {
	values := []any{
		nil, "text", []any{}, []any{"a", "b"}, []any{"a", map[string]any{"x": "1"}}, map[string]any{},
		map[string]any{"a": "1", "b": map[string]any{"c": nil, "d": []any{"e"}}},
		map[string]any{"a": nil, "b": map[string]any{"d": []any{"f"}, "g": false}},
	}
	for _, old := range values {
		for _, fresh := range values {
			if left := compare("", fresh, changed(old, changeOf(old, fresh))); len(left) > 0 {
				t.Errorf("from %v to %v: %v", old, fresh, left)
			}
		}
	}
}
