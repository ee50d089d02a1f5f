package agent

import (
	"context"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// mask stands for a secret.
const mask = "******"

const keyConfigDrive = "configdrive"

// secretWords are the parts of a key that make its value a secret (oslo.utils' strutils._SANITIZE_KEYS).
var secretWords = []string{"adminpass", "admin_pass", "password", "auth_token", "new_pass", "secret", "sys_pswd", "token",
	"configdrive", "encrypted_key", "private_key", "fernetkey", "sslkey", "passphrase", "cephclusterfsid",
	"octaviaheartbeatkey", "rabbitcookie", "cephmanilaclientkey", "pacemakerremoteauthkey", "designaterndckey",
	"cephadminkey", "heatauthencryptionkey", "cephclientkey", "keystonecredential", "barbicansimplecryptokek", "cephrgwkey",
	"swifthashsuffix", "migrationsshkey", "cephmdskey", "cephmonkey"}

// laterFields came after 21.4. An agent has no use for them; they are left out while they are empty, and so a node of an
// older release looks as it always did.
var laterFields = []string{"service_step", "parent_node", "firmware_interface", "disable_power_off", "instance_name", "health",
	"vendor", "category", "available_for_dynamic_portgroup"}

// nodeDocument is the node as an agent is shown it: every field, secrets masked. The config drive is among the secrets
// but for the deploy steps that write it.
func nodeDocument(n *store.Node, showConfigDrive bool) store.Dict {
	doc := document(n)
	for _, field := range []string{"driver_info", "driver_internal_info"} {
		doc[field] = masked(doc.Dict(field))
	}
	info := masked(n.InstanceInfo)
	if drive := n.InstanceInfo[keyConfigDrive]; drive != nil && showConfigDrive {
		info[keyConfigDrive] = drive
	}
	doc["instance_info"] = info
	traits := []any{}
	for _, trait := range n.Traits {
		traits = append(traits, store.Dict{"node_id": strconv.FormatInt(n.ID, 10), "trait": trait})
	}
	doc["traits"] = store.Dict{"objects": traits}
	return doc
}

// portDocuments are the node's ports as an agent is shown them.
func portDocuments(ctx context.Context, t *drivers.Task) ([]any, error) {
	ports, err := t.Worker.Ports(ctx, t)
	if err != nil {
		return nil, err
	}
	docs := []any{}
	for _, p := range ports {
		doc := document(p)
		if p.Description == nil { // a port has one since 35.0 only
			delete(doc, "description")
		}
		doc["node_uuid"] = t.Node.UUID
		docs = append(docs, doc)
	}
	return docs, nil
}

// document turns a model struct into an object: times are naive UTC with microseconds, what would be NULL is null.
func document(model any) store.Dict {
	v := reflect.ValueOf(model).Elem()
	doc := store.Dict{}
	for _, f := range store.FieldsOf(v.Type()) {
		field := v.Field(f.Index)
		if f.Name == "version" || field.IsZero() && slices.Contains(laterFields, f.Name) {
			continue
		}
		doc[f.Name] = plain(field, f.NotNull)
	}
	return doc
}

func plain(v reflect.Value, notNull bool) any {
	switch x := v.Interface().(type) {
	case string:
		if x == "" && !notNull {
			return nil
		}
		return x
	case time.Time:
		if x.IsZero() {
			return nil
		}
		return isoTime(x)
	case store.Dict:
		if x == nil {
			return store.Dict{}
		}
		return x.Clone()
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	return v.Interface()
}

// isoTime is Python's isoformat() of a naive datetime in UTC with microseconds.
func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000") }

// masked returns a copy of d with the secrets replaced, by their keys, at every depth of objects.
func masked(d store.Dict) store.Dict {
	out := store.Dict{}
	for key, value := range d {
		nested := d.Dict(key)
		switch {
		case nested != nil && key != keyConfigDrive:
			out[key] = masked(nested)
		case key == keyConfigDrive && value == nil:
		case isSecret(key):
			out[key] = mask
		default:
			out[key] = store.Dict{"v": value}.Clone()["v"]
		}
	}
	return out
}

func isSecret(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(key, word) })
}
