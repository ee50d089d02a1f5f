package redfish_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

const (
	subscriptionsAt = "/redfish/v1/EventService/Subscriptions"
	mediaAt         = "/redfish/v1/Managers/m/VirtualMedia"
)

// passthruBMC is a BMC with a subscription, a CD drive and a floppy drive.
func passthruBMC(t *testing.T) *redfishtest.Tree {
	t.Helper()
	resources := serviceTree(object{"Links": object{"ManagedBy": []any{link("/redfish/v1/Managers/m")}}})
	drive := func(name string, types ...any) object {
		at := mediaAt + "/" + name
		return object{"@odata.id": at, "Id": name, "MediaTypes": types, "Inserted": true, "Image": "http://images/" + name,
			"Actions": object{"#VirtualMedia.EjectMedia": object{"target": at + "/Actions/VirtualMedia.EjectMedia"}}}
	}
	maps.Copy(resources, map[string]object{
		"/redfish/v1/EventService": {"EventTypesForSubscription": []any{"Alert", "Odd"}, "Subscriptions": link(subscriptionsAt)},
		subscriptionsAt:            {"Members": []any{link(subscriptionsAt + "/1")}},
		subscriptionsAt + "/1": {"Id": "1", "Context": "c", "Destination": "https://me/", "Protocol": "Redfish", "EventTypes": []any{"Alert"},
			"HttpHeaders": []any{"secret"}},
		"/redfish/v1/Managers/m": {"@odata.id": "/redfish/v1/Managers/m", "Id": "m", "VirtualMedia": link(mediaAt)},
		mediaAt:                  {"Members": []any{link(mediaAt + "/Cd"), link(mediaAt + "/Floppy")}},
		mediaAt + "/Cd":          drive("Cd", "CD", "DVD"), mediaAt + "/Floppy": drive("Floppy", "Floppy", "USBStick"),
	})
	return redfishtest.Serve(t, resources, func(tr *redfishtest.Tree, method, path string, body object) (int, object, bool) {
		switch {
		case method == "POST" && path == subscriptionsAt:
			tr.Merge(subscriptionsAt+"/2", body)
			tr.Merge(subscriptionsAt+"/2", object{"Id": "2"})
			return 201, object{"Location": subscriptionsAt + "/2"}, true
		case method == "DELETE":
			return 204, object{}, true
		}
		return 0, nil, false
	})
}

func passthru(t *testing.T, tr *redfishtest.Tree) (*redfish.Passthru, *drivers.Task) {
	t.Helper()
	client := redfishtest.Client(t)
	x, _ := task(client, tr.URL)
	x.Node.DriverInfo["redfish_username"], x.Node.DriverInfo["redfish_verify_ca"] = redfishtest.User, false
	return redfish.NewPassthru(client), x
}

func TestSubscriptions(t *testing.T) {
	tr := passthruBMC(t)
	p, x := passthru(t, tr)
	call := func(method string, args store.Dict) any {
		t.Helper()
		if err := p.ValidateMethod(t.Context(), x, method, args); err != nil {
			t.Fatal(err)
		}
		answer, err := p.NodeMethods()[method].Run(t.Context(), x, args)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	created := call("create_subscription", store.Dict{"Destination": "https://me/events", "EventTypes": []any{"Alert"}, "HttpHeaders": []any{"X: y"}})
	if c := created.(map[string]any); c["Id"] != "2" || c["Protocol"] != "Redfish" || c["HttpHeaders"] != nil || len(c) != 5 {
		t.Errorf("created %v", created)
	}
	if sent := tr.Changes(); len(sent) != 1 || !strings.Contains(sent[0], `"Context":"","Destination":"https://me/events","EventTypes":["Alert"],"HttpHeaders":["X: y"]`) {
		t.Errorf("sent %q", sent)
	}
	if one := call("get_subscription", store.Dict{"id": "1"}).(map[string]any); one["Context"] != "c" || one["HttpHeaders"] != nil {
		t.Errorf("got %v", one)
	}
	if all := call("get_all_subscriptions", nil).(map[string]any); len(all["Members"].([]any)) != 1 {
		t.Errorf("all %v", all)
	}
	call("delete_subscription", store.Dict{"id": "1"})
	if sent := tr.Changes(); len(sent) != 1 || !strings.HasPrefix(sent[0], "DELETE "+subscriptionsAt+"/1") {
		t.Errorf("sent %q", sent)
	}
}

func TestSubscriptionsThatAreRefused(t *testing.T) {
	tr := passthruBMC(t)
	p, x := passthru(t, tr)
	good := func(change store.Dict) store.Dict {
		args := store.Dict{"Destination": "https://me/"}
		maps.Copy(args, change)
		return args
	}
	for _, c := range []struct {
		method string
		args   store.Dict
		want   string
	}{
		{"create_subscription", store.Dict{}, "Destination None is not a valid URI"},
		{"create_subscription", good(store.Dict{"Destination": "me"}), "Destination me is not a valid URI"},
		{"create_subscription", good(store.Dict{"Context": 1}), "Context 1 is not a valid string"},
		{"create_subscription", good(store.Dict{"Protocol": nil}), "Protocol None is not a string"},
		{"create_subscription", good(store.Dict{"HttpHeaders": "X: secret"}), "is not a list of headers"},
		{"create_subscription", good(store.Dict{"EventTypes": []any{"StatusChange"}}), "EventTypes ['StatusChange'] is not a valid value, allowed values Alert"},
		{"create_subscription", good(store.Dict{"EventTypes": "Alert"}), "EventTypes 'Alert' is not a valid value"},
		{"delete_subscription", store.Dict{}, "id can't be None"},
		{"eject_vmedia", store.Dict{"boot_device": "tape"}, "Boot device tape is not a valid value "},
	} {
		redfishtest.WantError(t, p.ValidateMethod(t.Context(), x, c.method, c.args), store.InvalidParameterValue, c.want)
	}
	methods := p.NodeMethods()
	_, err := methods["get_subscription"].Run(t.Context(), x, store.Dict{"id": "7"})
	redfishtest.WantError(t, err, store.RedfishError, "Redfish get_subscription failed for subscription 7 on node node-1. Error: ")
	_, err = methods["delete_subscription"].Run(t.Context(), x, store.Dict{"id": "7"})
	redfishtest.WantError(t, err, store.RedfishError, "Redfish delete_subscription failed for subscription 7 on node node-1. Error: ")
	var refused *store.Error
	if !errors.As(err, &refused) || refused.Code != 404 {
		t.Errorf("deleting what is not there: %v", err)
	}
	_, err = methods["get_subscription"].Run(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.InvalidParameterValue, "id can't be None")
	tr.Set("/redfish/v1", object{"EventService": nil})
	_, err = methods["create_subscription"].Run(t.Context(), x, good(nil))
	redfishtest.WantError(t, err, store.RedfishError, "Failed to create subscription on node node-1. Subscription payload: {'Destination': "+
		"'https://me/', 'Protocol': 'Redfish', 'Context': '', 'EventTypes': ['Alert']}. Error: ", "The attribute EventService is missing")
	_, err = methods["get_all_subscriptions"].Run(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.RedfishError, "Redfish get_subscriptions failed for node node-1. Error: ")
	if sent := tr.Changes(); len(sent) != 0 {
		t.Errorf("sent %q", sent)
	}
}

func TestHeadersOfSubscriptionsStaySecret(t *testing.T) {
	tr := redfishtest.Serve(t, serviceTree(object{}), func(*redfishtest.Tree, string, string, object) (int, object, bool) {
		return 400, object{"error": object{"code": "Bad", "message": "not Basic c2VjcmV0, c2VjcmV0cw== or plain-secret"}}, true
	})
	tr.Set("/redfish/v1/EventService", object{"Subscriptions": link(subscriptionsAt)})
	p, x := passthru(t, tr)
	_, err := p.NodeMethods()["create_subscription"].Run(t.Context(), x, store.Dict{"Destination": "https://me/", "HttpHeaders": []any{
		map[string]any{"Authorization": "c2VjcmV0", "X-Key": "c2VjcmV0cw=="}, "X-Auth-Token: plain-secret", 7}})
	redfishtest.WantError(t, err, store.RedfishError, "not Basic ***, *** or ***")
}

func TestSubscriptionIDsStayInTheirCollection(t *testing.T) {
	tr := passthruBMC(t)
	p, x := passthru(t, tr)
	for _, id := range []string{"..", ".", "../../Systems/1", "1/../2", "%2e%2e", "a%2F..", "1#x", "<1>", "it's", "~", "\\", `"`} {
		redfishtest.WantError(t, p.ValidateMethod(t.Context(), x, "delete_subscription", store.Dict{"id": id}), store.InvalidParameterValue,
			"Invalid BMC subscription ID value: '"+id+"'")
		_, err := p.NodeMethods()["get_subscription"].Run(t.Context(), x, store.Dict{"id": id})
		redfishtest.WantError(t, err, store.InvalidParameterValue, "Invalid BMC ID value: '"+id+"'")
	}
	for _, id := range []string{"1", "a.b-c_d", "urn:uuid:1", "1?x=y", "a b"} {
		if err := p.ValidateMethod(t.Context(), x, "delete_subscription", store.Dict{"id": id}); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestVirtualMediaAreEjectedOnRequest(t *testing.T) {
	for device, want := range map[string]int{"": 2, "cd": 1, "floppy": 1, "usb": 1} {
		tr := passthruBMC(t)
		p, x := passthru(t, tr)
		args := store.Dict{"boot_device": device}
		if err := p.ValidateMethod(t.Context(), x, "eject_vmedia", args); err != nil {
			t.Fatal(err)
		}
		if _, err := p.NodeMethods()["eject_vmedia"].Run(t.Context(), x, args); err != nil || len(tr.Changes()) != want {
			t.Errorf("%q: %v", device, err)
		}
	}
}
