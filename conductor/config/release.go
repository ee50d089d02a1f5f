package config

import "fmt"

// Release is the ironic release whose defaults apply. A few options changed theirs over time.
type Release int

// The releases with differing defaults, oldest first.
const (
	R2023_1 Release = iota // ironic 21.4, Debian 12
	R2025_1                // ironic 29.0, Debian 13
	Newest                 // ironic's master branch
)

// String names the release as OpenStack does.
func (r Release) String() string {
	switch r {
	case R2023_1:
		return "2023.1"
	case R2025_1:
		return "2025.1"
	case Newest:
		return "newest"
	}
	return fmt.Sprintf("Release(%d)", int(r))
}
