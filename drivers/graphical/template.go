package graphical

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2"
	"github.com/nikolalohinski/gonja/v2/exec"

	"github.com/ironmaster/ironmaster/store"
)

//go:embed templates
var builtIn embed.FS

// openTemplate reads an operator's Jinja2 template, or else the one that is built in.
func openTemplate(path, name string) (*exec.Template, error) {
	if path != "" {
		return gonja.FromFile(path)
	}
	text, err := builtIn.ReadFile("templates/" + name)
	if err != nil {
		return nil, err
	}
	return gonja.FromBytes(text)
}

func render(t *exec.Template, values map[string]any) (string, error) {
	text, err := t.ExecuteToString(exec.NewContext(values))
	if err != nil {
		return "", fmt.Errorf("rendering a console container's template: %w", err)
	}
	return text, nil
}

// quoted are characters that mean something to YAML, to systemd or to a shell where templates put an app's info between single
// quotes. A password may hold any of them.
var quoted = strings.NewReplacer(`'`, `\u0027`, `%`, `\u0025`, `$`, `\u0024`, "`", `\u0060`)

// infoText is an app's info as JSON that can stand between single quotes.
func infoText(info store.Dict) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(info); err != nil {
		return "", fmt.Errorf("writing what a console's app is to know: %w", err)
	}
	return quoted.Replace(strings.TrimSpace(text.String())), nil
}
