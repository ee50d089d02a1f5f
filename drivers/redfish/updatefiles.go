package redfish

import (
	"context"
	"crypto/sha1" //nolint:gosec // what ironic takes firmware's checksums for
	"crypto/sha256"
	"crypto/sha512"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/jsonschema"
	"github.com/ironmaster/ironmaster/store"
)

// FirmwareFiles serves firmware to BMCs.
type FirmwareFiles interface {
	// Stage fetches a file, has it checked and returns the URL at which the node's BMC reads it, also after a restart.
	Stage(ctx context.Context, node, name, href string, check func(file string) error) (url string, err error)
	// Withdraw stops serving what is staged for a node.
	Withdraw(node string) error
}

// UpdateConfig is how firmware is updated.
type UpdateConfig struct {
	Files FirmwareFiles
	// Source is where BMCs read files that name no source: http, local or swift ([redfish]firmware_source).
	Source string
	// Services tells that instances get firmware updates too, as in ironic since 23.0.
	Services bool
	// ByComponent has updates of the firmware interface go as their components need it, as ironic does since 33.0. What follows counts
	// for those alone.
	ByComponent bool
	// Delay is how long a BMC may take for a new version, or a machine for a reboot ([redfish]firmware_update_reboot_delay), VersionCheck
	// the pause between two looks at it (firmware_update_bmc_version_check_interval).
	Delay, VersionCheck time.Duration
	// NICWait is how long a network card may not begin before its machine reboots (firmware_update_nic_starting_wait).
	NICWait time.Duration
	// Successes is how often all resources are to be read in a row after an update, ValidationInterval the pause in between,
	// ValidationTimeout how long that may take in all (firmware_update_required_successes, firmware_update_validation_interval,
	// firmware_update_resource_validation_timeout). A zero leaves that out.
	Successes                             int
	ValidationInterval, ValidationTimeout time.Duration
	// Overall is how long all updates of a step may take; 0 is without an end (firmware_update_overall_timeout).
	Overall time.Duration
}

// The values of firmware_source.
const (
	sourceHTTP  = "http"
	sourceSwift = "swift"
)

// serve returns where the BMC reads the file of an update: at its own place, or at the worker's. A nil check is none.
func (c UpdateConfig) serve(ctx context.Context, t *drivers.Task, href, source string, check func(file string) error) (where string,
	served bool, err error) {
	scheme, _, _ := strings.Cut(strings.ToLower(href), ":")
	web := scheme == "http" || scheme == "https"
	switch source = strings.ToLower(source); {
	case web && source == sourceHTTP:
		return href, false, nil
	case source == sourceSwift || scheme == "swift":
		return "", false, store.Errorf(store.InvalidParameterValue, "Firmware is not served from Swift by this conductor: name the file "+
			"by a http, https or file URL, and http or local as its source.")
	case !web && scheme != "file":
		return "", false, store.Errorf(store.InvalidParameterValue, "%s is not supported for %s.", scheme, withoutPassword(href))
	}
	where, err = c.Files.Stage(ctx, t.Node.UUID, fileName(href), href, check)
	return where, true, err
}

// fileName is what the file of a URL is called where it is served: some BMCs look at its extension.
func fileName(href string) string {
	href, _, _ = strings.Cut(href, "?")
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("._-", r) || r < 0x80 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
			return r
		}
		return '_'
	}, path.Base(href))
}

// Lengths of checksums in hex digits.
const (
	longestSHA1   = 41 // so in ironic
	longestSHA256 = 64
	longestSHA512 = 128
)

// checksum returns what holds a file against its checksum, whose kind its length tells. Releases before 2023.2 know SHA-1 alone.
func checksum(node, wanted string, onlySHA1 bool) func(file string) error {
	return func(file string) error {
		var h hash.Hash
		switch n := len(wanted); {
		case onlySHA1 || n <= longestSHA1:
			h = sha1.New() //nolint:gosec // as above
		case n <= longestSHA256:
			h = sha256.New()
		case n <= longestSHA512:
			h = sha512.New()
		default:
			return redfishError("Unable to identify checksum to perform firmware file checksum calculation. Please validate your input "+
				"in and try again. Received: %s", wanted)
		}
		f, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("reading a firmware file: %w", err)
		}
		defer f.Close()
		if _, err := io.Copy(h, f); err != nil {
			return fmt.Errorf("reading a firmware file: %w", err)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != wanted {
			return redfishError("For node %s firmware file %s checksums do not match. Expected: %s, calculated: %s.", node, file, wanted, got)
		}
		return nil
	}
}

//go:embed firmware_images.json
var imagesSchema []byte

// errNoUpdates is how Python words what an empty list is refused with, which the schema of update_firmware lets through.
var errNoUpdates = errors.New("list index out of range")

// checkUpdates holds the argument of a step against its schema. A list that it returns is not empty. What the error shows of the argument
// is without passwords.
func checkUpdates(s *jsonschema.Schema, argument any) ([]store.Dict, error) {
	shown := withoutPasswords(argument)
	if fault := s.Check(shown); fault != nil {
		return nil, store.Errorf(store.InvalidParameterValue, "Invalid firmware update %s. Errors: %s", store.PythonRepr(shown), fault)
	}
	var all []store.Dict
	for _, item := range (store.Dict{"updates": argument}).List("updates") {
		all = append(all, store.Dict{"update": item}.Dict("update").Clone())
	}
	if len(all) == 0 {
		return nil, errNoUpdates
	}
	return all, nil
}

// withoutPasswords is the argument of a step as errors may show it.
func withoutPasswords(argument any) any {
	switch v := argument.(type) {
	case string:
		return withoutPassword(v)
	case []any:
		shown := make([]any, len(v))
		for i, one := range v {
			shown[i] = withoutPasswords(one)
		}
		return shown
	case store.Dict:
		return withoutPasswords(map[string]any(v))
	case map[string]any:
		shown := make(map[string]any, len(v))
		for name, one := range v {
			shown[name] = withoutPasswords(one)
		}
		return shown
	}
	return argument
}

// withoutPassword is a URL as errors may show it. Of one that is malformed nobody knows where its password ends.
func withoutPassword(text string) string {
	where, err := url.Parse(text)
	if err != nil {
		if at := strings.LastIndex(text, "@"); at >= 0 {
			return "***" + text[at:]
		}
		return text
	}
	if where.User == nil {
		return text
	}
	return where.Redacted()
}
