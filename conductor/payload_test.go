package conductor

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/store"
)

// TestPayloadsAreThoseOfIronic rebuilds the nodes of recorded notifications and compares what is made of them.
func TestPayloadsAreThoseOfIronic(t *testing.T) {
	codec, err := objects.New(messaging.V2023_1, 0)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/notifications/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var recorded struct {
				Message struct {
					Payload struct {
						Name      string         `json:"ironic_object.name"`
						Namespace string         `json:"ironic_object.namespace"`
						Version   string         `json:"ironic_object.version"`
						Data      map[string]any `json:"ironic_object.data"`
					}
				}
			}
			if err := json.Unmarshal(text, &recorded); err != nil {
				t.Fatal(err)
			}
			p := recorded.Message.Payload
			fields, extra := map[string]any{}, map[string]any{}
			for key, value := range p.Data {
				switch key {
				case "to_power", "from_power", "event", "previous_provision_state", "previous_target_provision_state":
					extra[key] = value
				case "traits":
				default:
					fields[key] = value
				}
			}
			node, _, err := codec.DecodeNode(raw(t, map[string]any{"ironic_object.name": "Node",
				"ironic_object.namespace": "ironic", "ironic_object.version": codec.Version("Node"), "ironic_object.data": fields}))
			if err != nil {
				t.Fatal(err)
			}
			for _, trait := range p.Data["traits"].([]any) {
				node.Traits = append(node.Traits, trait.(string))
			}
			got := nodePayload(p.Name, messaging.V2023_1, node, extra)
			equal(t, "version", got.Version, p.Version)
			equal(t, "namespace", got.Namespace, p.Namespace)
			var data map[string]any
			if err := json.Unmarshal(raw(t, got.Data), &data); err != nil {
				t.Fatal(err)
			}
			for key := range p.Data {
				if !reflect.DeepEqual(data[key], p.Data[key]) {
					t.Errorf("%s is %v, recorded was %v", key, data[key], p.Data[key])
				}
			}
			for key := range data {
				if _, known := p.Data[key]; !known {
					t.Errorf("%s was not recorded", key)
				}
			}
		})
	}
}

func TestSecretsAreMaskedInPayloads(t *testing.T) {
	secret := "hunter2"
	n := &store.Node{
		UUID: "n", InstanceInfo: store.Dict{"image_url": "http://x/?token=" + secret, "configdrive": store.Dict{"user_data": secret},
			"image_source": "kept"},
		DriverInternalInfo: store.Dict{"agent_secret_token": secret, "nested": store.Dict{"Password": secret},
			"user_deploy_steps": []any{map[string]any{"args": map[string]any{"admin_password": secret}}}},
		CleanStep:  store.Dict{"interface": "bios", "args": map[string]any{"settings": []any{map[string]any{"password": secret}}}},
		DeployStep: store.Dict{"args": store.Dict{"sslkey": secret}},
		DriverInfo: store.Dict{"redfish_password": secret},
	}
	for class := range payloadVersions {
		text := string(raw(t, nodePayload(class, messaging.V2025_1, n, nil)))
		if strings.Contains(text, secret) {
			t.Errorf("%s tells a secret: %s", class, text)
		}
	}
	data := nodePayload("NodeSetProvisionStatePayload", messaging.V2025_1, n, nil).Data
	equal(t, "image source", data["instance_info"].(store.Dict).String("image_source"), "kept")
	equal(t, "the node itself", n.DriverInternalInfo.String("agent_secret_token"), secret)
	n.DriverInternalInfo[keyOwed] = store.Dict{"id": "x"}
	data = nodePayload("NodeSetProvisionStatePayload", messaging.V2025_1, n, nil).Data
	equal(t, "our own keys", data["driver_internal_info"].(store.Dict)[keyOwed], nil)
	if _, known := data["disable_power_off"]; !known {
		t.Error("disable_power_off is missing, which 27.0 brought")
	}
}

// ironic's background work writes what a request brings, once the move was announced.
func TestAMoveIsAnnouncedWithoutWhatItsRequestBrings(t *testing.T) {
	w := startWorker(t, nil)
	manageable := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	w.must(t, "do_node_clean", map[string]any{"node_id": manageable.UUID, "clean_steps": []any{}})
	available := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Available })
	w.must(t, "do_node_deploy", map[string]any{"node_id": available.UUID, "configdrive": "aGVsbG8="})
	for _, n := range []*store.Node{manageable, available} {
		data := w.bus.payload(t, n.UUID, "baremetal.node.provision_set.start")
		for _, key := range []string{"clean_steps", "cleaning_disable_ramdisk", "configdrive"} {
			if strings.Contains(data, key) {
				t.Errorf("%s is shown: %s", key, data)
			}
		}
	}
}
