package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Vendor is what a hardware type does otherwise than the type redfish although its BMCs speak Redfish: how a node names its BMC, and
// what users are told. What the vendor's machines do otherwise is in the interfaces of its own package.
type Vendor struct {
	// Access reads from driver_info where and how a node's BMC is reached.
	Access func(n *store.Node) (Access, error)
	// Failed words that an operation failed, for in ironic each vendor has an exception of its own. Nil stands for RedfishError and
	// RedfishConnectionError.
	Failed func(operation, reason string) error
}

// Access is where and how a BMC is reached.
type Access struct {
	// Address is scheme and authority of the service, without a slash at the end.
	Address string
	// SystemID is the path of the ComputerSystem, empty for the only one.
	SystemID           string
	Username, Password string
	Verify             Verify
	// Timeout bounds reaching the BMC and each of its answers; 0 stands for the Client's.
	Timeout time.Duration
}

// BMCs are the BMCs of one vendor, reached through the sessions that all vendors share.
type BMCs struct {
	client *Client
	failed func(operation, reason string) error
	target func(*store.Node) (target, error)
}

// Of returns the BMCs of a vendor.
func (c *Client) Of(v Vendor) *BMCs {
	return &BMCs{client: c, failed: v.Failed, target: func(n *store.Node) (target, error) {
		a, err := v.Access(n)
		return target{address: a.Address, systemID: a.SystemID, username: a.Username, password: a.Password, verify: a.Verify,
			auth: authAuto, timeout: a.Timeout}, err
	}}
}

// Plain returns the BMCs of nodes that name theirs as the type redfish has it.
func (c *Client) Plain() *BMCs {
	return &BMCs{client: c, target: func(n *store.Node) (target, error) { return parseDriverInfo(n, c.cfg) }}
}

// Validate checks how a node names its BMC, without asking it.
func (b *BMCs) Validate(n *store.Node) error {
	_, err := b.target(n)
	return err
}

// Address is where a node's BMC is reached, "" when the node does not tell.
func (b *BMCs) Address(n *store.Node) string {
	where, err := b.target(n)
	if err != nil {
		return ""
	}
	return where.address
}

// Do calls do with the node's system as it is now. operation is what users are told has failed when it does; an error of do that
// is a *store.Error reaches them as it is.
func (b *BMCs) Do(ctx context.Context, t *drivers.Task, operation string, do func(*System) error) error {
	where, err := b.target(t.Node)
	if err != nil {
		return err
	}
	var failed func(reason string) error
	if b.failed != nil {
		failed = func(reason string) error { return b.failed(operation, reason) }
	}
	return b.client.visit(ctx, t, where, failed, do)
}

// System is a node's ComputerSystem for one operation, with what the packages of vendors need beyond gofish.
type System = system

// Read reads a resource that gofish has no schema for.
func (s *system) Read(path string, into any) error {
	answer, err := s.api.Get(path)
	if statusOf(err) == http.StatusNotFound {
		return &notThere{path, err}
	}
	if err != nil {
		return err
	}
	defer schemas.DeferredCleanupHTTPResponse(answer)
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return &notRedfish{http.MethodGet, path, err.Error()}
	}
	return nil
}

// Change sends a PATCH to a resource, without an ETag.
func (s *system) Change(path string, payload any) error {
	answer, err := s.api.Patch(path, payload)
	if err != nil {
		return err
	}
	return schemas.CleanupHTTPResponse(answer)
}

// Act asks for an action. It returns where the BMC says that the work goes on, "" when it does not.
func (s *system) Act(path string, payload any) (location string, err error) {
	answer, err := s.api.Post(path, payload)
	if err != nil {
		return "", err
	}
	location = answer.Header.Get("Location")
	return location, schemas.CleanupHTTPResponse(answer)
}

// Obtain asks for something that the BMC may need time to put together, looks for it pause apart, and returns it.
func (s *system) Obtain(path string, payload any, timeout, pause time.Duration) (json.RawMessage, error) {
	answer, err := s.api.Post(path, payload)
	for deadline, location := time.Now().Add(timeout), ""; ; answer, err = s.api.Get(location) {
		if err != nil {
			return nil, err
		}
		if answer.StatusCode != http.StatusAccepted {
			break
		}
		where, err := url.Parse(answer.Header.Get("Location"))
		if err := errors.Join(err, schemas.CleanupHTTPResponse(answer)); err != nil {
			return nil, err
		}
		if where.Path != "" {
			location = where.Path
		}
		switch {
		case location == "":
			return nil, &notRedfish{http.MethodPost, path, "it was accepted without a Location"}
		case time.Now().After(deadline):
			return nil, fmt.Errorf("what %s is to answer was not there within %s", path, timeout)
		}
		if err := drivers.Pause(s.ctx, pause); err != nil {
			return nil, err
		}
	}
	defer schemas.DeferredCleanupHTTPResponse(answer)
	var text json.RawMessage
	if err := json.NewDecoder(answer.Body).Decode(&text); err != nil {
		return nil, &notRedfish{http.MethodPost, path, err.Error()}
	}
	return text, nil
}

// Await reads the system again and again, pause apart at first, until it is as wanted. It tells whether it was in time.
func (s *system) Await(timeout, pause time.Duration, wanted func() bool) (bool, error) {
	return s.poll(timeout, pause, wanted)
}

// ResetTo asks for the first of the reset types that the BMC allows.
func (s *system) ResetTo(types ...schemas.ResetType) error { return s.reset(types...) }

// Power is store.PowerOn, store.PowerOff or "" when the BMC does not tell.
func (s *system) Power() string { return s.power() }

// Refused is the HTTP status that a BMC refused a request with; 0 when err is something else.
func Refused(err error) int { return statusOf(err) }

// GivenUp tells that the caller waits no more.
func (s *system) GivenUp() bool { return s.ctx.Err() != nil }

// Hide keeps a secret that the BMC is told out of errors, where a BMC quotes what it refuses.
func (s *system) Hide(secret string) { s.secrets = append(s.secrets, secret) }

// Explain says in one line what went wrong, without the password and what Hide was told.
func (s *system) Explain(err error) string {
	return withoutSecret(s.session.explain(err), s.secrets...)
}

// BIOSValues are the firmware's settings as they are now. An error for a system that shows none is one of the BMC's.
func (s *system) BIOSValues() (map[string]any, error) {
	f, err := s.bios()
	if err != nil {
		return nil, err
	}
	return f.Values, nil
}

// FirmwareFiles is what serves files to BMCs, nil where nothing does.
func (b *BMCs) FirmwareFiles() FirmwareFiles { return b.client.cfg.Updates.Files }

// Managers are the BMCs of the system.
func (s *system) Managers() ([]*schemas.Manager, error) { return s.managers() }
