package redfish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Passthru is the vendor interface redfish: subscriptions to a BMC's events, and ejecting virtual media.
type Passthru struct{ base }

// NewPassthru returns the vendor interface redfish.
func NewPassthru(c *Client) *Passthru { return NewPassthruOf(c.Plain()) }

// NewPassthruOf returns a vendor interface like redfish for other BMCs.
func NewPassthruOf(b *BMCs) *Passthru { return &Passthru{base{b}} }

// Properties are none, as in ironic.
func (*Passthru) Properties() map[string]string { return map[string]string{} }

// Validate has nothing to check: each method has.
func (*Passthru) Validate(context.Context, *drivers.Task) error { return nil }

// NodeMethods are those of ironic's.
func (p *Passthru) NodeMethods() map[string]drivers.VendorMethod {
	return map[string]drivers.VendorMethod{
		"eject_vmedia": {HTTPMethods: []string{"POST"}, Run: p.ejectMedia, Description: "Eject a virtual media device. If no device is " +
			"provided then all attached devices will be ejected. Optional arguments: 'boot_device' - the boot device to eject, either " +
			"'cd', 'dvd', 'usb', or 'floppy'"},
		"create_subscription": {HTTPMethods: []string{"POST"}, Sync: true, Run: p.createSubscription, Description: "Creates a " +
			"subscription on a node. Required argument: a dictionary of {'Destination': 'destination_url'}"},
		"delete_subscription": {HTTPMethods: []string{"DELETE"}, Sync: true, Run: p.deleteSubscription, Description: "Delete a " +
			"subscription on a node. Required argument: a dictionary of {'id': 'subscription_bmc_id'}"},
		"get_all_subscriptions": {HTTPMethods: []string{"GET"}, Sync: true, Run: p.allSubscriptions,
			Description: "Returns all subscriptions on the node."},
		"get_subscription": {HTTPMethods: []string{"GET"}, Sync: true, Run: p.subscription, Description: "Get a subscription on the " +
			"node. Required argument: a dictionary of {'id': 'subscription_bmc_id'}"},
	}
}

// DriverMethods are none.
func (*Passthru) DriverMethods() map[string]drivers.VendorMethod { return nil }

// ValidateMethod checks the arguments of a method; the BMC is asked which events it knows, and which drives.
func (p *Passthru) ValidateMethod(ctx context.Context, t *drivers.Task, method string, args store.Dict) error {
	switch method {
	case "eject_vmedia":
		return p.validateEject(ctx, t, args)
	case "create_subscription":
		return p.validateSubscription(ctx, t, args)
	case "delete_subscription":
		id := args.String("id")
		if id == "" {
			return store.Errorf(store.InvalidParameterValue, "id can't be None")
		}
		if !fitsSubscription(id) {
			return store.Errorf(store.InvalidParameterValue, "Invalid BMC subscription ID value: '%s'", id)
		}
	}
	return nil
}

// fitsSubscription tells whether a user's text may be the name of a subscription: one that leaves the collection would read, or delete,
// anything else of the BMC's (CVE-2026-90458).
func fitsSubscription(id string) bool {
	return !strings.ContainsAny(id, "!*'(),{}|\\^~[]`<>#%\"") && !strings.Contains(id, "..") && id != "."
}

// mediaTypes are Redfish's words for what users call boot devices.
var mediaTypes = map[string]schemas.VirtualMediaType{"cd": schemas.CDVirtualMediaType, "dvd": schemas.DVDVirtualMediaType,
	"usb": schemas.USBStickVirtualMediaType, "floppy": schemas.FloppyVirtualMediaType}

func (p *Passthru) validateEject(ctx context.Context, t *drivers.Task, args store.Dict) error {
	device := args.String("boot_device")
	if device == "" {
		return nil
	}
	return p.on(ctx, t, "", func(s *system) error {
		kind, known := mediaTypes[strings.ToLower(device)]
		drives, err := s.drives()
		if err != nil {
			return err
		}
		if !known || !slices.ContainsFunc(drives, func(d *drive) bool { return d.takes(kind) }) {
			return store.Errorf(store.InvalidParameterValue, "Boot device %s is not a valid value ", device)
		}
		return nil
	})
}

func (p *Passthru) ejectMedia(ctx context.Context, t *drivers.Task, args store.Dict) (any, error) {
	kind, one := mediaTypes[strings.ToLower(args.String("boot_device"))]
	return nil, p.on(ctx, t, "", func(s *system) error {
		_, err := s.ejectAllBut("", func(d *drive) bool { return !one || d.takes(kind) })
		return err
	})
}

// eventTypes are those of the standard (EventDestination.v1_13, EventType), for BMCs that do not say which they know.
var eventTypes = []string{"Alert", "MetricReport", "Other", "ResourceAdded", "ResourceRemoved", "ResourceUpdated", "StatusChange"}

func (p *Passthru) validateSubscription(ctx context.Context, t *drivers.Task, args store.Dict) error {
	if wanted, given := args["EventTypes"]; given && wanted != nil {
		allowed := eventTypes
		err := p.on(ctx, t, "", func(s *system) error {
			service, err := s.eventService()
			if err == nil && len(service.EventTypesForSubscription) > 0 {
				allowed = slices.DeleteFunc(service.EventTypesForSubscription, func(e string) bool { return !slices.Contains(eventTypes, e) })
			}
			return err
		})
		if err != nil {
			return err
		}
		list, isList := wanted.([]any)
		if !isList || slices.ContainsFunc(list, func(e any) bool { text, _ := e.(string); return !slices.Contains(allowed, text) }) {
			return store.Errorf(store.InvalidParameterValue, "EventTypes %s is not a valid value, allowed values %s",
				store.PythonRepr(wanted), strings.Join(allowed, ", "))
		}
	}
	for _, c := range []struct{ name, text string }{{"Context", "Context %s is not a valid string"}, {"Protocol", "Protocol %s is not a string"}} {
		if value, given := args[c.name]; given {
			if _, isText := value.(string); !isText {
				return store.Errorf(store.InvalidParameterValue, c.text, store.PythonRepr(value))
			}
		}
	}
	if headers := args["HttpHeaders"]; headers != nil {
		if _, isList := headers.([]any); !isList {
			return store.Errorf(store.InvalidParameterValue, "HttpHeaders %s is not a list of headers", mask)
		}
	}
	destination, _ := args["Destination"].(string)
	if where, err := url.Parse(destination); err != nil || where.Scheme == "" || where.Hostname() == "" {
		return store.Errorf(store.InvalidParameterValue, "Destination %s is not a valid URI", store.PythonText(args["Destination"]))
	}
	return nil
}

// mask stands for what may hold a secret.
const mask = "******"

type eventService struct {
	EventTypesForSubscription []string
	Subscriptions             rawLink
}

func (s *system) eventService() (e eventService, err error) {
	path, err := s.service("EventService")
	if err == nil {
		err = s.Read(path, &e)
	}
	if err == nil && e.Subscriptions.Path == "" {
		err = &missing{"Subscriptions", path}
	}
	return e, err
}

// subscribed is the path of one subscription.
func (e eventService) subscribed(id string) string {
	return strings.TrimRight(e.Subscriptions.Path, "/") + "/" + url.PathEscape(id)
}

// shown are the fields of a subscription that users see.
var shown = []string{"Id", "Context", "Protocol", "Destination", "EventTypes"}

func (s *system) readSubscription(path string) (map[string]any, error) {
	all := map[string]any{}
	if err := s.Read(path, &all); err != nil {
		return nil, err
	}
	some := map[string]any{}
	for _, name := range shown {
		if value, has := all[name]; has {
			some[name] = value
		}
	}
	return some, nil
}

func (p *Passthru) createSubscription(ctx context.Context, t *drivers.Task, args store.Dict) (answer any, err error) {
	payload := map[string]any{"Destination": args["Destination"], "Protocol": "Redfish", "Context": "", "EventTypes": []any{"Alert"}}
	for name := range payload {
		if value, given := args[name]; given {
			payload[name] = value
		}
	}
	said := fmt.Sprintf("{'Destination': %s, 'Protocol': %s, 'Context': %s, 'EventTypes': %s}", store.PythonRepr(payload["Destination"]),
		store.PythonRepr(payload["Protocol"]), store.PythonRepr(payload["Context"]), store.PythonRepr(payload["EventTypes"]))
	if headers := args.List("HttpHeaders"); len(headers) > 0 {
		payload["HttpHeaders"] = headers
	}
	err = p.on(ctx, t, "", func(s *system) error {
		created, err := s.subscribe(payload)
		if err != nil {
			return s.told(err, fmt.Sprintf("Failed to create subscription on node %s. Subscription payload: %s. Error: ", t.Node.UUID, said),
				headerSecrets(args.List("HttpHeaders"))...)
		}
		answer = created
		return nil
	})
	return answer, err
}

// headerSecrets are the values of a subscription's headers, which are texts ("name: value") or objects of them. The longest come first: one
// may be part of another.
func headerSecrets(headers []any) []string {
	var all []string
	for _, header := range headers {
		switch h := header.(type) {
		case string:
			_, value, named := strings.Cut(h, ":")
			if named {
				h = strings.TrimSpace(value)
			}
			all = append(all, h)
		case map[string]any:
			for _, value := range h {
				all = append(all, store.PythonText(value))
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return all
}

func (s *system) subscribe(payload map[string]any) (map[string]any, error) {
	service, err := s.eventService()
	if err != nil {
		return nil, err
	}
	location, err := s.Act(service.Subscriptions.Path, payload)
	if err != nil {
		return nil, err
	}
	where, err := url.Parse(location)
	if err != nil || where.Path == "" {
		return nil, &notRedfish{http.MethodPost, service.Subscriptions.Path, "it does not say where the subscription is"}
	}
	return s.readSubscription(where.Path)
}

func (p *Passthru) deleteSubscription(ctx context.Context, t *drivers.Task, args store.Dict) (any, error) {
	id := args.String("id")
	err := p.on(ctx, t, "", func(s *system) error {
		service, err := s.eventService()
		if err == nil {
			_, err = s.readSubscription(service.subscribed(id))
		}
		if err == nil {
			_, err = s.send(http.MethodDelete, service.subscribed(id), struct{}{})
		}
		if err != nil {
			return s.told(err, fmt.Sprintf("Redfish delete_subscription failed for subscription %s on node %s. Error: ", id, t.Node.UUID))
		}
		return nil
	})
	var refused *store.Error
	if errors.As(err, &refused) && refused.Kind == store.RedfishError {
		refused.Code = http.StatusNotFound
	}
	return nil, err
}

func (p *Passthru) allSubscriptions(ctx context.Context, t *drivers.Task, _ store.Dict) (answer any, err error) {
	err = p.on(ctx, t, "", func(s *system) error {
		service, err := s.eventService()
		var all map[string]any
		if err == nil {
			err = s.Read(service.Subscriptions.Path, &all)
		}
		if err != nil {
			return s.told(err, fmt.Sprintf("Redfish get_subscriptions failed for node %s. Error: ", t.Node.UUID))
		}
		answer = all
		return nil
	})
	return answer, err
}

func (p *Passthru) subscription(ctx context.Context, t *drivers.Task, args store.Dict) (answer any, err error) {
	id := args.String("id")
	if id == "" {
		return nil, store.Errorf(store.InvalidParameterValue, "id can't be None")
	}
	if !fitsSubscription(id) {
		return nil, store.Errorf(store.InvalidParameterValue, "Invalid BMC ID value: '%s'", id)
	}
	err = p.on(ctx, t, "", func(s *system) error {
		service, err := s.eventService()
		var one map[string]any
		if err == nil {
			one, err = s.readSubscription(service.subscribed(id))
		}
		if err != nil {
			return s.told(err, fmt.Sprintf("Redfish get_subscription failed for subscription %s on node %s. Error: ", id, t.Node.UUID))
		}
		answer = one
		return nil
	})
	return answer, err
}

var _ drivers.Vendor = (*Passthru)(nil)
