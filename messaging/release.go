// Package messaging holds what the parts of the wire share: which ironic release is spoken. The envelope and the
// failures are in messaging/oslo, the broker in messaging/rabbit, versioned objects in messaging/objects.
package messaging

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Release is an ironic release, major*100+minor: 21.4 is 2104. It decides object versions, the RPC version and which
// exception classes exist. The zero Release is none.
type Release int

// The releases at which the wire changed and whose versions are tabled (reference/objects.md §3, reference/rpc.md §1).
const (
	Pike    Release = 902 // 9.2, the oldest that any release can be pinned to
	V21_2   Release = 2102
	V21_3   Release = 2103
	V2023_1 Release = 2104
	V22_0   Release = 2200
	V22_1   Release = 2201
	V2023_2 Release = 2300
	V24_0   Release = 2400
	V2024_1 Release = 2401
	V25_0   Release = 2500
	V26_0   Release = 2600
	V2024_2 Release = 2601
	V27_0   Release = 2700
	V28_0   Release = 2800
	V2025_1 Release = 2900
	V30_0   Release = 3000
	V2025_2 Release = 3200
	V33_0   Release = 3300
	V34_0   Release = 3400
	V2026_1 Release = 3500
	V36_0   Release = 3600
	V38_0   Release = 3800
	Newest  Release = 3900
)

var releaseNames = map[string]Release{
	"yoga": 2001, "zed": 2101, "antelope": V2023_1, "2023.1": V2023_1, "2023.2": V2023_2, "2024.1": V2024_1,
	"2024.2": V2024_2, "2025.1": V2025_1, "2025.2": V2025_2, "2026.1": V2026_1, "2026.2": Newest, "master": Newest, "newest": Newest,
}

// minors are how many minor releases the major ones had, from 0 on; of Pike's major release, 9, only the last one counts.
var minors = map[int]int{10: 1, 11: 1, 12: 2, 15: 1, 16: 2, 18: 2, 20: 2, 21: 4, 22: 1, 23: 1, 24: 1, 26: 1}

// ParseRelease reads a value of pin_release_version: a series name such as 2023.1 or zed, or a release such as 29.0. What ironic never
// released, such as 21.5, is refused, as by ironic.
func ParseRelease(name string) (Release, error) {
	if r, ok := releaseNames[strings.ToLower(strings.TrimSpace(name))]; ok {
		return r, nil
	}
	major, minor, ok := strings.Cut(strings.TrimSpace(name), ".")
	ma, err1 := strconv.Atoi(major)
	mi, err2 := strconv.Atoi(minor)
	if !ok || err1 != nil || err2 != nil || ma < 0 || ma > 99 || mi < 0 || mi > 99 {
		return 0, fmt.Errorf("unknown ironic release %q", name)
	}
	r := Release(ma*100 + mi)
	if r < Pike || r > Newest {
		return 0, fmt.Errorf("ironic release %q is outside of the supported range %s to %s", name, Pike, Newest)
	}
	if r != Pike && mi > minors[ma] {
		return 0, fmt.Errorf("there is no ironic release %q", name)
	}
	return r, nil
}

// String returns the release as ironic numbers it, such as 21.4.
func (r Release) String() string { return fmt.Sprintf("%d.%d", int(r)/100, int(r)%100) }

var rpcVersions = []struct {
	since   Release
	version string
}{
	{Pike, "1.41"}, {1000, "1.42"}, {1001, "1.44"}, {1101, "1.47"}, {1201, "1.48"}, {1500, "1.50"}, {1600, "1.51"}, {1602, "1.52"},
	{1700, "1.54"}, {1802, "1.55"}, {V22_1, "1.56"}, {V2023_2, "1.58"}, {V24_0, "1.59"}, {V26_0, "1.60"}, {V2024_2, "1.61"}, {V33_0, "1.62"},
}

// RPCVersion returns the version of the conductor's RPC interface in this release.
func (r Release) RPCVersion() string {
	for _, e := range slices.Backward(rpcVersions) {
		if r >= e.since {
			return e.version
		}
	}
	return rpcVersions[0].version
}
