package objects

import (
	"fmt"
	"slices"

	"github.com/ironmaster/ironmaster/messaging"
)

// step is a minor version of an object (all have major 1) and the release that brought it.
type step struct {
	since messaging.Release
	minor int
}

// history holds the version of every object in every release that a later one can be pinned to (reference/objects.md §3).
var history = map[string][]step{
	"Allocation":        {{1201, 0}, {1400, 1}, {messaging.V2025_2, 3}},
	"BIOSSetting":       {{1100, 0}, {1800, 1}, {messaging.V2025_2, 2}},
	"Chassis":           {{messaging.Pike, 3}, {messaging.V2025_2, 4}},
	"Conductor":         {{messaging.Pike, 2}, {1101, 3}, {messaging.V25_0, 4}, {messaging.V2025_2, 6}},
	"DeployTemplate":    {{1201, 1}, {messaging.V2025_2, 2}},
	"Deployment":        {{1600, 0}, {messaging.V2025_2, 1}},
	"FirmwareComponent": {{messaging.V22_1, 0}, {messaging.V2025_2, 1}, {messaging.Newest, 2}},
	"InspectionRule":    {{messaging.V27_0, 0}, {messaging.V2025_2, 1}},
	"Node": {{messaging.Pike, 21}, {1000, 22}, {1001, 23}, {1100, 25}, {1101, 27}, {1200, 29}, {1201, 32}, {1400, 33}, {1500, 34},
		{1501, 35}, {1801, 36}, {messaging.V2023_1, 37}, {messaging.V22_0, 38}, {messaging.V22_1, 39}, {messaging.V2023_2, 40},
		{messaging.V27_0, 41}, {messaging.V2025_2, 42}, {messaging.V33_0, 43}, {messaging.V34_0, 44}},
	"NodeHistory":   {{1802, 0}, {messaging.V2025_2, 1}, {messaging.V38_0, 2}, {messaging.Newest, 3}},
	"NodeInventory": {{messaging.V21_2, 0}, {messaging.V2025_2, 1}},
	"Port": {{messaging.Pike, 7}, {1100, 8}, {1201, 9}, {1602, 10}, {messaging.V21_3, 11}, {messaging.V30_0, 12},
		{messaging.V2025_2, 15}, {messaging.V2026_1, 16}},
	"Portgroup": {{messaging.Pike, 3}, {1100, 4}, {messaging.V2023_1, 5}, {messaging.V2025_2, 6}, {messaging.V33_0, 8},
		{messaging.V2026_1, 9}},
	"Runbook":          {{messaging.V2024_2, 0}, {messaging.V2025_2, 1}, {messaging.V36_0, 2}},
	"RunbookTrait":     {{messaging.V36_0, 0}},
	"RunbookTraitList": {{messaging.V36_0, 0}},
	"Trait":            {{1001, 0}, {messaging.V2025_2, 1}},
	"TraitList":        {{1001, 0}, {messaging.V2025_2, 2}},
	"VolumeConnector":  {{messaging.Pike, 0}, {messaging.V2025_2, 1}},
	"VolumeTarget":     {{messaging.Pike, 0}, {messaging.V2025_2, 1}},
}

// lists are objects that ironic's mapping of releases does not have, for they are nothing but lists of others.
var lists = map[string][]step{
	"BIOSSettingList":       {{1100, 0}, {messaging.V2025_2, 1}},
	"FirmwareComponentList": {{messaging.V22_1, 0}, {messaging.V2025_2, 1}},
}

// stepsOf returns the versions of an object, none when no release has it.
func stepsOf(object string) []step {
	if steps, ok := history[object]; ok {
		return steps
	}
	return lists[object]
}

// minorOf returns the minor version of an object in a release, -1 when the release does not have it.
func minorOf(object string, release messaging.Release) int {
	for _, s := range slices.Backward(stepsOf(object)) {
		if release >= s.since {
			return s.minor
		}
	}
	return -1
}

// Known tells whether any release of ironic has an object of the name; those of another namespace are not ironic's.
func Known(space, object string) bool {
	return space == namespace && len(stepsOf(object)) > 0
}

// Version returns the version of an object that the release writes, "" when the release does not have the object.
func Version(object string, release messaging.Release) string {
	minor := minorOf(object, release)
	if minor < 0 {
		return ""
	}
	return fmt.Sprintf("1.%d", minor)
}
