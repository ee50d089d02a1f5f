// Package config reads an unmodified ironic.conf the way oslo.config does: the same files in the same order, the same
// syntax and value types, environment variables, references between options, and the defaults of the ironic release in
// use. It is the only package that knows ironic's option names.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
)

const rabbitGroup = "oslo_messaging_rabbit"

// Load reads the settings, in the order command line, environment, files, defaults. The second result holds one warning
// for each option that is set and known to ironic but not honoured here. The error joins every problem found; each
// names the option, where it is set, and its value unless that is secret.
func Load(in Inputs) (*Settings, []string, error) {
	from, err := readSources(in)
	if err != nil {
		return nil, nil, err
	}
	options, err := describe(reflect.TypeFor[Settings](), in.Release)
	if err != nil {
		return nil, nil, err
	}
	d := newDecoder(from, options, computedDefaults(in))
	if err := d.followAuthSections(options); err != nil {
		return nil, nil, err
	}
	if err := d.applyQuery(); err != nil {
		return nil, nil, err
	}
	settings := &Settings{Release: in.Release}
	problems := []error{d.unknownOwn()}
	for _, o := range options {
		value, err := d.decode(o)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		reflect.ValueOf(settings).Elem().FieldByIndex(o.index).Set(value)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, nil, err
	}
	if err := settings.complete(); err != nil {
		return nil, nil, err
	}
	return settings, d.notHonoured(), nil
}

// computedDefaults are the defaults that depend on the machine.
func computedDefaults(in Inputs) map[key]func() (string, error) {
	computed := map[key]func() (string, error){
		{"DEFAULT", "my_ip"}: func() (string, error) {
			if in.Address != nil {
				if address := in.Address(); address != "" {
					return address, nil
				}
			}
			return "127.0.0.1", nil
		},
	}
	if in.Hostname != nil {
		computed[key{"DEFAULT", "host"}] = in.Hostname
	}
	return computed
}

// followAuthSections makes the plugin options of a group come from the group that its auth_section names.
func (d *decoder) followAuthSections(options []*option) error {
	for _, o := range options {
		if !o.auth {
			continue
		}
		section, ok := d.options[key{o.key.group, "auth_section"}]
		if !ok {
			continue
		}
		value, err := d.decode(section)
		if err != nil {
			return err
		}
		if name := value.String(); name != "" {
			d.move(o, groupName(name))
		}
	}
	return nil
}

// move makes an option and its older names belong to another group.
func (d *decoder) move(o *option, group string) {
	for i := range o.older {
		o.older[i].group = group
	}
	o.key.group = group
	d.options[o.key] = o
}

// applyQuery lets the query of transport_url override [oslo_messaging_rabbit], as oslo.messaging does.
func (d *decoder) applyQuery() error {
	transport := d.options[key{"DEFAULT", "transport_url"}]
	value, err := d.decode(transport)
	if err != nil {
		return err
	}
	_, query, found := strings.Cut(value.String(), "?")
	if !found {
		return nil
	}
	query, _, _ = strings.Cut(query, "#")
	parameters, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("%s: the query of the URL cannot be read", transport.key)
	}
	d.override = map[key]setting{}
	for name, values := range parameters {
		k := key{rabbitGroup, name}
		if _, ok := d.options[k]; !ok {
			if _, ok := d.known[k]; !ok {
				return fmt.Errorf("%s: the query of the URL sets %q, which is no option of [%s]", transport.key, name, rabbitGroup)
			}
			continue
		}
		d.override[k] = setting{values: []string{strings.Join(values, ",")}, where: "query of transport_url"}
	}
	return nil
}

// slowestTransfer is the lowest tftp_rate_limit, in KiB a second: the largest block of TFTP takes a second then.
const slowestTransfer = 64

// complete checks what depends on several options and fills in what is derived from others.
func (s *Settings) complete() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if s.Default.Host == "" || len(s.Default.Host) > 255 {
		problem("[DEFAULT]host must have 1 to 255 characters, not %d", len(s.Default.Host))
	}
	if s.Conductor.HeartbeatTimeout <= s.Conductor.HeartbeatInterval {
		problem("[conductor]heartbeat_timeout (%s) must be longer than heartbeat_interval (%s)",
			s.Conductor.HeartbeatTimeout, s.Conductor.HeartbeatInterval)
	}
	if s.Rabbit.HAQueues && s.Rabbit.QuorumQueue {
		problem("[oslo_messaging_rabbit]rabbit_ha_queues and rabbit_quorum_queue exclude each other")
	}
	for i, path := range s.Conductor.FileURLAllowedPaths {
		clean := filepath.Clean(path)
		if !filepath.IsAbs(path) || clean != "/" && clean != strings.TrimRight(path, "/") {
			problem("[conductor]file_url_allowed_paths: %q must be an absolute path without . or ..", path)
		}
		s.Conductor.FileURLAllowedPaths[i] = clean
	}
	if _, _, err := net.SplitHostPort(s.Ironmaster.AdminListen); err != nil {
		problem("[ironmaster]admin_listen = %q: must be host:port", s.Ironmaster.AdminListen)
	}
	_, port, err := net.SplitHostPort(s.Ironmaster.ImageServerListen)
	if err != nil {
		problem("[ironmaster]image_server_listen = %q: must be host:port", s.Ironmaster.ImageServerListen)
	}
	if listen := s.Ironmaster.TFTPListen; listen != "" {
		if _, _, err := net.SplitHostPort(listen); err != nil {
			problem("[ironmaster]tftp_listen = %q: must be host:port", listen)
		}
	}
	if r := s.Ironmaster.TFTPRateLimit; r != 0 && r < slowestTransfer {
		problem("[ironmaster]tftp_rate_limit = %d: must be 0 or at least %d, or firmware gives up between two blocks", r, slowestTransfer)
	}
	if s.Ironmaster.ImageServerURL == "" {
		s.Ironmaster.ImageServerURL = "http://" + net.JoinHostPort(s.Default.MyIP, port)
	}
	if _, err := s.Console.Ranges(s.Release); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}
