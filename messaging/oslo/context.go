package oslo

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

const contextPrefix = "_context_"

// Context is the request context: who asks, and under which id it is logged. It travels with every message, one key per
// field (reference/objects.md §8). "" stands for null.
type Context struct {
	User, ProjectID, SystemScope      string
	Domain, UserDomain, ProjectDomain string
	IsAdmin, IsAdminProject           bool
	ReadOnly, ShowDeleted             bool
	RequestID, GlobalRequestID        string
	ResourceUUID                      string
	Roles                             []string
	UserName, ProjectName, DomainName string
	UserDomainName, ProjectDomainName string
	// AuthToken is the user's token and AuthTokenInfo what Keystone said about it. Both are secret.
	AuthToken     string
	AuthTokenInfo json.RawMessage
}

// AdminContext returns the context of work that no user asked for, with a fresh request id.
func AdminContext() Context {
	return Context{IsAdmin: true, IsAdminProject: true, RequestID: "req-" + uuid.NewString()}
}

// String leaves out everything secret, so that a context can be formatted without harm.
func (c Context) String() string { return fmt.Sprintf("request %s of %s", c.RequestID, c.identity()) }

// GoString does the same for %#v.
func (c Context) GoString() string { return c.String() }

// Redacted returns a copy fit for notifications: the keys that oslo.messaging lets through, without token and catalogue.
func (c Context) Redacted() Context {
	c.AuthToken, c.AuthTokenInfo, c.ResourceUUID = "", nil, ""
	c.ReadOnly, c.ShowDeleted, c.IsAdminProject = false, false, true
	return c
}

func (c Context) identity() string {
	parts := []string{c.User, c.ProjectID, c.Domain, c.UserDomain, c.ProjectDomain}
	for i, p := range parts {
		if p == "" {
			parts[i] = "-"
		}
	}
	return strings.Join(parts, " ")
}

// contextKey is the name of a context's field in a message, and the field.
type contextKey[T any] struct {
	key   string
	field func(*Context) *T
}

var contextTexts = []contextKey[string]{
	{"user", func(c *Context) *string { return &c.User }},
	{"project_id", func(c *Context) *string { return &c.ProjectID }},
	{"system_scope", func(c *Context) *string { return &c.SystemScope }},
	{"domain", func(c *Context) *string { return &c.Domain }},
	{"user_domain", func(c *Context) *string { return &c.UserDomain }},
	{"project_domain", func(c *Context) *string { return &c.ProjectDomain }},
	{"auth_token", func(c *Context) *string { return &c.AuthToken }},
	{"request_id", func(c *Context) *string { return &c.RequestID }},
	{"global_request_id", func(c *Context) *string { return &c.GlobalRequestID }},
	{"resource_uuid", func(c *Context) *string { return &c.ResourceUUID }},
}

// contextNames are keys that newer clients send and that oslo.context 5.0 (2023.1) reads but does not write.
var contextNames = []contextKey[string]{
	{"user_name", func(c *Context) *string { return &c.UserName }},
	{"project_name", func(c *Context) *string { return &c.ProjectName }},
	{"domain_name", func(c *Context) *string { return &c.DomainName }},
	{"user_domain_name", func(c *Context) *string { return &c.UserDomainName }},
	{"project_domain_name", func(c *Context) *string { return &c.ProjectDomainName }},
}

var contextFlags = []contextKey[bool]{
	{"is_admin", func(c *Context) *bool { return &c.IsAdmin }},
	{"is_admin_project", func(c *Context) *bool { return &c.IsAdminProject }},
	{"read_only", func(c *Context) *bool { return &c.ReadOnly }},
	{"show_deleted", func(c *Context) *bool { return &c.ShowDeleted }},
}

// contextOldTexts are older keys of fields that have another one now.
var contextOldTexts = []contextKey[string]{
	{"user_id", func(c *Context) *string { return &c.User }},
	{"project", func(c *Context) *string { return &c.ProjectID }},
}

// context reads the context out of a message.
func (f fields) context() Context {
	return readContext(func(key string) json.RawMessage { return f[contextPrefix+key] })
}

// ParseContext reads a context out of its fields. It never fails: a key that is missing, unknown or of another type is as
// good as absent, because a request must not be lost over it.
func ParseContext(values map[string]json.RawMessage) Context {
	return readContext(func(key string) json.RawMessage { return values[key] })
}

func readContext(value func(key string) json.RawMessage) Context {
	c := Context{IsAdminProject: true}
	for _, keys := range [][]contextKey[string]{contextTexts, contextNames} {
		for _, k := range keys {
			*k.field(&c), _ = unquote(value(k.key))
		}
	}
	for _, k := range contextOldTexts {
		if into := k.field(&c); *into == "" {
			*into, _ = unquote(value(k.key))
		}
	}
	for _, k := range contextFlags {
		switch string(value(k.key)) {
		case "true":
			*k.field(&c) = true
		case "false":
			*k.field(&c) = false
		}
	}
	if roles := value("roles"); roles != nil && json.Unmarshal(roles, &c.Roles) != nil {
		c.Roles = nil
	}
	if raw := value("auth_token_info"); raw != nil && !isNull(raw) {
		c.AuthTokenInfo = raw
	}
	return c
}

// flatten writes the context's keys into a message, in the set that ironic 21.4 sends; names only when known.
func (c *Context) flatten(into map[string]any) {
	for _, k := range contextTexts {
		into[contextPrefix+k.key] = orNull(*k.field(c))
	}
	for _, k := range contextNames {
		if name := *k.field(c); name != "" {
			into[contextPrefix+k.key] = name
		}
	}
	for _, k := range contextFlags {
		into[contextPrefix+k.key] = *k.field(c)
	}
	into[contextPrefix+"project"] = orNull(c.ProjectID)
	into[contextPrefix+"user_identity"] = c.identity()
	into[contextPrefix+"roles"] = append([]string{}, c.Roles...)
	into[contextPrefix+"auth_token_info"] = c.AuthTokenInfo
}
