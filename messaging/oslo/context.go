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

func (c *Context) texts() map[string]*string {
	return map[string]*string{
		"user": &c.User, "project_id": &c.ProjectID, "system_scope": &c.SystemScope, "domain": &c.Domain,
		"user_domain": &c.UserDomain, "project_domain": &c.ProjectDomain, "auth_token": &c.AuthToken,
		"request_id": &c.RequestID, "global_request_id": &c.GlobalRequestID, "resource_uuid": &c.ResourceUUID,
	}
}

// names are keys that newer clients send and that oslo.context 5.0 (2023.1) reads but does not write.
func (c *Context) names() map[string]*string {
	return map[string]*string{
		"user_name": &c.UserName, "project_name": &c.ProjectName, "domain_name": &c.DomainName,
		"user_domain_name": &c.UserDomainName, "project_domain_name": &c.ProjectDomainName,
	}
}

func (c *Context) flags() map[string]*bool {
	return map[string]*bool{
		"is_admin": &c.IsAdmin, "is_admin_project": &c.IsAdminProject, "read_only": &c.ReadOnly,
		"show_deleted": &c.ShowDeleted,
	}
}

// context reads the context out of a message.
func (f fields) context() Context {
	values := fields{}
	for key, raw := range f {
		if name, ok := strings.CutPrefix(key, contextPrefix); ok {
			values[name] = raw
		}
	}
	return ParseContext(values)
}

// ParseContext reads a context out of its fields. It never fails: a key that is missing, unknown or of another type is as
// good as absent, because a request must not be lost over it.
func ParseContext(values map[string]json.RawMessage) Context {
	c := Context{IsAdminProject: true}
	for key, into := range c.texts() {
		_ = json.Unmarshal(values[key], into)
	}
	for key, into := range c.names() {
		_ = json.Unmarshal(values[key], into)
	}
	for key, into := range c.flags() {
		_ = json.Unmarshal(values[key], into)
	}
	for key, into := range map[string]*string{"user_id": &c.User, "project": &c.ProjectID} {
		if *into == "" {
			_ = json.Unmarshal(values[key], into)
		}
	}
	if json.Unmarshal(values["roles"], &c.Roles) != nil {
		c.Roles = nil
	}
	if raw, ok := values["auth_token_info"]; ok && !isNull(raw) {
		c.AuthTokenInfo = raw
	}
	return c
}

// flatten writes the context's keys into a message, in the set that ironic 21.4 sends; names only when known.
func (c *Context) flatten(into map[string]any) {
	for key, p := range c.texts() {
		into[contextPrefix+key] = orNull(*p)
	}
	for key, p := range c.names() {
		if *p != "" {
			into[contextPrefix+key] = *p
		}
	}
	for key, p := range c.flags() {
		into[contextPrefix+key] = *p
	}
	into[contextPrefix+"project"] = orNull(c.ProjectID)
	into[contextPrefix+"user_identity"] = c.identity()
	into[contextPrefix+"roles"] = append([]string{}, c.Roles...)
	into[contextPrefix+"auth_token_info"] = c.AuthTokenInfo
}
