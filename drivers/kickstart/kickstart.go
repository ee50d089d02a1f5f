// Package kickstart makes the file by which Anaconda, the installer of Fedora and Red Hat, installs a machine: a template of the
// user's or the operator's, with what one instance needs.
package kickstart

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"

	"github.com/ironmaster/ironmaster/store"
)

// Options are what a template may put in, as ks_options.
type Options struct {
	// LiveImageURL is where the image is, or the tree of packages when Tree says so.
	LiveImageURL string
	Tree         bool
	// AgentToken and HeartbeatURL let the installer tell how far it is. The token is a secret.
	AgentToken, HeartbeatURL string
	// Insecure has it not verify ironic-api's certificate ([anaconda]insecure_heartbeat).
	Insecure bool
	// ConfigDrive are commands that lay down the config drive: see Script.
	ConfigDrive string
}

// Template is the text of a template and whose it is.
type Template struct {
	Text []byte
	// Trusted is true of the operator's own, which may use all of Jinja. See language.go for the others.
	Trusted bool
}

// Default is the text of the template for those who bring none.
//
//go:embed default.cfg
var Default []byte

// MaxTemplate is the size of the largest template, in bytes, and maxRendered that of the largest kickstart file.
const (
	MaxTemplate = 1 << 20
	maxRendered = 32 << 20
)

// required are the options that a template has to use, in ironic's order.
var required = []string{"liveimg_url", "agent_token", "config_drive", "heartbeat_url"}

// Check refuses one that uses what there is not, or does not use what an installation needs. Errors are
// InvalidKickstartTemplate.
func (t Template) Check() error {
	values := map[string]any{"liveimg_url": "fake_image_url", "agent_token": "fake_token", "config_drive": "",
		"heartbeat_url": "fake_heartbeat_url"}
	text, err := t.render(values, true)
	if err != nil {
		return invalid("The kickstart template includes a variable that is not a valid kickstart option. Rendering the template "+
			"returned  %w. The valid options are %s.", err, strings.Join(required, ","))
	}
	var missing []string
	for _, name := range required {
		if !bytes.Contains(text, []byte(values[name].(string))) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return invalid("Following required kickstart option variables are missing from the kickstart template: %s.",
			strings.Join(missing, ","))
	}
	return nil
}

func invalid(format string, args ...any) error {
	return store.Errorf(store.InvalidKickstartTemplate, format, args...)
}

// Render puts the options into a template that was checked.
func (t Template) Render(o Options) ([]byte, error) {
	values := map[string]any{"liveimg_url": o.LiveImageURL, "agent_token": o.AgentToken, "config_drive": o.ConfigDrive,
		"heartbeat_url": o.HeartbeatURL}
	if o.Tree {
		values["is_source_a_path"] = "true"
	}
	if o.Insecure {
		values["insecure_heartbeat"] = "true"
	}
	text, err := t.render(values, false)
	if err != nil {
		return nil, invalid("Rendering the kickstart template: %w", err)
	}
	return text, nil
}

// render renders what no file of this host goes into; what it becomes is bounded.
func (t Template) render(values map[string]any, strict bool) (_ []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the template engine gave up: %v", p)
		}
	}()
	if len(t.Text) > MaxTemplate {
		return nil, fmt.Errorf("the template has %d bytes, %d are the most", len(t.Text), MaxTemplate)
	}
	const name = "/kickstart"
	loader, err := loaders.NewMemoryLoader(map[string]string{name: string(t.Text)})
	if err != nil {
		return nil, err
	}
	cfg := config.New()
	cfg.StrictUndefined = strict
	available := fullEnvironment()
	if !t.Trusted {
		available = environment()
		if err := checkTokens(string(t.Text), cfg); err != nil {
			return nil, err
		}
	}
	parsed, err := exec.NewTemplate(name, cfg, loader, available)
	if err != nil {
		// The engine's own text has all of the template, in which there may be passwords.
		return nil, fmt.Errorf("failed to parse it: %w", cmp.Or(errors.Unwrap(err), err))
	}
	out := &bounded{}
	if err := parsed.Execute(out, exec.NewContext(map[string]any{"ks_options": values})); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// bounded is a buffer of maxRendered bytes at most.
type bounded struct{ bytes.Buffer }

var errTooLarge = errors.New("it becomes larger than a kickstart file may be")

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxRendered {
		return 0, errTooLarge
	}
	return b.Buffer.Write(p)
}
