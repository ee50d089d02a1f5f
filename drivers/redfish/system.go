package redfish

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
)

// system is a node's ComputerSystem resource, read through a session for one operation.
type system struct {
	*schemas.ComputerSystem
	ctx     context.Context
	session *session
	api     *gofish.APIClient
	task    *drivers.Task
	// failed words failures for a vendor's hardware type; nil for redfish itself.
	failed func(reason string) error
	// secrets are what errors do not show beside the BMC's password.
	secrets []string
}

func openSystem(ctx context.Context, s *session, path string) (*system, error) {
	api, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	if path == "" {
		if path, err = s.onlySystem(api); err != nil {
			return nil, err
		}
	}
	sys := &system{ctx: ctx, session: s, api: api}
	if sys.ComputerSystem, err = schemas.GetObject[schemas.ComputerSystem](api, path); err != nil {
		return nil, err
	}
	if sys.ODataID == "" {
		return nil, &notRedfish{http.MethodGet, path, "it is no ComputerSystem"}
	}
	return sys, nil
}

// onlySystem finds the system of a BMC that has just one.
func (s *session) onlySystem(api *gofish.APIClient) (string, error) {
	collection := s.root.Systems.String()
	if collection == "" {
		return "", &notRedfish{http.MethodGet, "the service root", "it names no Systems"}
	}
	members, err := schemas.GetCollection(api, collection)
	if err != nil {
		return "", err
	}
	if len(members.ItemLinks) != 1 {
		return "", redfishError("%s has %d systems and driver_info/redfish_system_id names none of them",
			s.address, len(members.ItemLinks))
	}
	return members.ItemLinks[0], nil
}

// refresh reads the system again.
func (s *system) refresh() error {
	current, err := schemas.GetObject[schemas.ComputerSystem](s.api, s.ODataID)
	if err != nil {
		return err
	}
	s.ComputerSystem = current
	return nil
}

// entity is what all Redfish resources of gofish can do.
type entity interface {
	Patch(uri string, payload any) error
	DisableEtagMatch(bool)
	GetODataID() string
}

// patch changes a resource. BMCs whose ETags do not match themselves are asked without one.
func patch(e entity, payload any) error {
	err := e.Patch(e.GetODataID(), payload)
	if statusOf(err) == http.StatusPreconditionFailed {
		e.DisableEtagMatch(true)
		err = e.Patch(e.GetODataID(), payload)
	}
	return err
}

// setBoot changes the boot override. gofish asks the resource itself first and its settings resource after it.
func (s *system) setBoot(boot *schemas.Boot) error {
	err := s.SetBoot(boot)
	if statusOf(err) == http.StatusPreconditionFailed {
		s.DisableEtagMatch(true)
		err = s.SetBoot(boot)
	}
	return err
}

// reset asks for the first of the reset types that the BMC allows. One that lists none is taken at its word.
func (s *system) reset(types ...schemas.ResetType) error {
	allowed, err := s.GetSupportedResetTypes()
	if err != nil {
		return err
	}
	best := 0
	if len(allowed) > 0 {
		best = slices.IndexFunc(types, func(kind schemas.ResetType) bool { return slices.Contains(allowed, kind) })
	}
	if best < 0 {
		return fmt.Errorf("the BMC allows the reset types %v, and not %v", allowed, types)
	}
	// An ETag belongs to a change of the resource; on an action some BMCs refuse it.
	s.DisableEtagMatch(true)
	defer s.DisableEtagMatch(false)
	_, err = s.Reset(types[best])
	return err
}
