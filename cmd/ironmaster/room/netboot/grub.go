package netboot

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// grub is a running GRUB.
type grub struct {
	*boot
	loader    file
	variables map[string]string
	entries   []grubEntry
	// kernel is the command line of the kernel that was loaded.
	kernel *string
	// chained tells that the loader on the local disk was loaded.
	chained bool
	outcome *Outcome
	depth   int
}

// grubEntry is an entry of the menu.
type grubEntry struct {
	title, id string
	body      []grubNode
}

// grubPrefix is the folder that Debian's images for the network look into.
const grubPrefix = "/grub"

func (b *boot) runGRUB(ctx context.Context, loader file) (Outcome, error) {
	g := &grub{boot: b, loader: loader, variables: map[string]string{
		"net_default_mac": strings.ToLower(b.mac()), "net_default_ip": b.m.Address, "net_default_server": loader.host(),
		"prefix": "(" + loader.device() + ")" + grubPrefix, "root": loader.device(),
		"grub_platform": "efi", "grub_cpu": "x86_64",
	}}
	outcome, err := g.start(ctx)
	if err != nil {
		return Outcome{}, fmt.Errorf("GRUB: %w", err)
	}
	return outcome, nil
}

// device is how GRUB calls the server that it was loaded from.
func (f file) device() string {
	if f.url != nil {
		return f.url.Scheme + "," + f.url.Host
	}
	return "tftp," + f.server
}

func (f file) host() string {
	if f.url != nil {
		return f.url.Hostname()
	}
	return f.server
}

// configs are the configurations that GRUB looks for: those of Debian's embedded script, then, as images do whose prefix is the
// loader's folder, those for a MAC or IP address and the one for all.
func (g *grub) configs() []string {
	names := []string{grubPrefix + "/x86_64-efi/grub.cfg", grubPrefix + "/grub.cfg"}
	for _, name := range configNames("", g.mac(), g.m.Address) {
		if name != "default" {
			names = append(names, "/grub.cfg-"+name)
		}
	}
	return append(names, "/grub.cfg")
}

func (g *grub) start(ctx context.Context) (Outcome, error) {
	for _, name := range g.configs() {
		nodes, err := g.read(ctx, name)
		if errors.Is(err, errNotFound) {
			continue
		}
		if err == nil {
			g.log.Debug().Str("file", name).Msg("GRUB reads its configuration")
			err = g.config(ctx, nodes)
		}
		if err != nil {
			return Outcome{}, err
		}
		if g.outcome == nil {
			return Outcome{}, errors.New("there is nothing to boot, it waits at its prompt")
		}
		return *g.outcome, nil
	}
	return Outcome{}, errors.New("no configuration file found, it waits at its prompt")
}

// open says where a file is: on the device that stands before its name in brackets, or on the one GRUB came from.
func (g *grub) open(name string) (file, error) {
	device := g.variables["root"]
	if rest, given := strings.CutPrefix(name, "("); given {
		var closed bool
		if device, name, closed = strings.Cut(rest, ")"); !closed {
			return file{}, fmt.Errorf("invalid file name %q", rest)
		}
	}
	kind, server, _ := strings.Cut(device, ",")
	if server == "" {
		server = g.loader.host()
	}
	switch kind {
	case "tftp":
		return file{server: server, name: name}, nil
	case "http", "https":
		return parseURL(kind + "://" + server + "/" + strings.TrimPrefix(name, "/"))
	}
	return file{}, fmt.Errorf("no such device: %s", device)
}

func (g *grub) read(ctx context.Context, name string) ([]grubNode, error) {
	from, err := g.open(name)
	if err != nil {
		return nil, err
	}
	text, err := g.fetch.read(ctx, from, maxConfig)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", from, err)
	}
	nodes, err := parseGRUB(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return nodes, nil
}

// config runs a configuration and then the menu that it made, of which the default is chosen at once.
func (g *grub) config(ctx context.Context, nodes []grubNode) error {
	if g.depth++; g.depth > maxDepth {
		return errors.New("configurations read each other without end")
	}
	defer func() { g.depth-- }()
	g.entries = nil
	if err := g.run(ctx, nodes); err != nil || g.outcome != nil {
		return err
	}
	if len(g.entries) > 0 {
		entry := g.entries[g.chosen()]
		g.log.Debug().Str("entry", entry.title).Msg("GRUB boots an entry of its menu")
		if err := g.run(ctx, entry.body); err != nil || g.outcome != nil {
			return err
		}
	}
	return g.leave()
}

// chosen is the number of the default entry, which is named by number, title or id. It is the first when there is none.
func (g *grub) chosen() int {
	wanted := g.variables["default"]
	if n, err := strconv.Atoi(wanted); err == nil && n >= 0 && n < len(g.entries) {
		return n
	}
	for n, entry := range g.entries {
		if wanted != "" && (entry.title == wanted || entry.id == wanted) {
			return n
		}
	}
	return 0
}

// leave boots what was loaded, if anything was.
func (g *grub) leave() error {
	switch {
	case g.kernel != nil:
		g.outcome = &Outcome{CommandLine: *g.kernel}
	case g.chained:
		g.outcome = &Outcome{Action: BootNext, Reason: "GRUB: chainloader of the local disk"}
	}
	return nil
}

// run executes commands until one fails or the machine leaves GRUB.
func (g *grub) run(ctx context.Context, nodes []grubNode) error {
	for _, node := range nodes {
		if g.outcome != nil {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if len(node.branches) > 0 {
			err = g.branch(ctx, node.branches)
		} else {
			err = g.command(ctx, node)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", node.line, err)
		}
	}
	return nil
}

func (g *grub) branch(ctx context.Context, branches []grubBranch) error {
	for _, branch := range branches {
		err := g.run(ctx, branch.condition)
		if isFalse := errors.Is(err, errFalse); err != nil && !isFalse {
			return err
		} else if !isFalse {
			return g.run(ctx, branch.body)
		}
	}
	return nil
}

// expand puts the values of variables into words. A word of nothing but an empty variable goes away.
func (g *grub) expand(words []grubWord) []string {
	var expanded []string
	for _, word := range words {
		var text strings.Builder
		fixed := len(word) == 0
		for _, part := range word {
			if part.variable {
				text.WriteString(g.variables[part.text])
				continue
			}
			fixed = true
			text.WriteString(part.text)
		}
		if fixed || text.Len() > 0 {
			expanded = append(expanded, text.String())
		}
	}
	return expanded
}
