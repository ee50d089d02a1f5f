package netboot

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// errFalse is what a condition says that does not hold.
var errFalse = errors.New("the condition is false")

// command executes one command.
func (g *grub) command(ctx context.Context, node grubNode) error {
	words := g.expand(node.words)
	if len(words) == 0 {
		return nil
	}
	name, arguments := words[0], words[1:]
	if key, value, assigns := strings.Cut(name, "="); assigns && key != "" && len(arguments) == 0 {
		g.variables[key] = value
		return nil
	}
	err := g.do(ctx, node, name, arguments)
	if err != nil && !errors.Is(err, errFalse) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return err
}

func (g *grub) do(ctx context.Context, node grubNode, name string, arguments []string) error {
	switch name {
	case "set":
		return g.set(arguments)
	case "unset":
		for _, key := range arguments {
			delete(g.variables, key)
		}
		return nil
	case "export", "insmod", "terminal_input", "terminal_output", "serial", "loadfont", "true", "sleep", "search":
		return nil
	case "echo":
		g.log.Debug().Str("text", strings.Join(arguments, " ")).Msg("GRUB says")
		return nil
	case "false":
		return errFalse
	case "[", "test":
		return g.test(ctx, name, arguments)
	case "menuentry":
		return g.entry(node, arguments)
	case "linux", "linuxefi":
		return g.linux(ctx, arguments)
	case "initrd", "initrdefi":
		return g.initrd(ctx, arguments)
	case "source", ".", "configfile":
		return g.include(ctx, name, arguments)
	case "chainloader":
		return g.chainload(arguments)
	case "boot":
		if err := g.leave(); err != nil || g.outcome != nil {
			return err
		}
		return errors.New("you need to load the kernel first")
	case "exit":
		g.outcome = &Outcome{Action: BootNext, Reason: "GRUB: exit"}
	case "reboot":
		g.outcome = &Outcome{Action: Reboot, Reason: "GRUB: reboot"}
	case "halt":
		g.outcome = &Outcome{Action: PowerOff, Reason: "GRUB: halt"}
	default:
		return errors.New("can't find command")
	}
	return nil
}

func (g *grub) set(arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("it takes one argument")
	}
	key, value, assigns := strings.Cut(arguments[0], "=")
	if !assigns || key == "" {
		return fmt.Errorf("%q sets nothing", arguments[0])
	}
	g.variables[key] = value
	return nil
}

// entry adds an entry to the menu.
func (g *grub) entry(node grubNode, arguments []string) error {
	var e grubEntry
	for i := 0; i < len(arguments); i++ {
		switch option := arguments[i]; {
		case option == "--id" && i+1 < len(arguments):
			i++
			e.id = arguments[i]
		case (option == "--class" || option == "--users" || option == "--hotkey") && i+1 < len(arguments):
			i++
		case strings.HasPrefix(option, "--id="):
			e.id = strings.TrimPrefix(option, "--id=")
		case option == "--unrestricted", strings.HasPrefix(option, "--class="), strings.HasPrefix(option, "--users="):
		case strings.HasPrefix(option, "--"):
			return fmt.Errorf("unknown argument %q", option)
		case e.title == "":
			e.title = option
		}
	}
	if e.title == "" {
		return errors.New("missing arguments")
	}
	e.body = node.entry
	g.entries = append(g.entries, e)
	return nil
}

func (g *grub) load(ctx context.Context, name string) error {
	from, err := g.open(name)
	if err == nil {
		_, err = g.fetch.load(ctx, from)
	}
	if err != nil {
		return fmt.Errorf("loading %s: %w", name, err)
	}
	return nil
}

func (g *grub) linux(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		return errors.New("filename expected")
	}
	if err := g.load(ctx, arguments[0]); err != nil {
		return err
	}
	line := "BOOT_IMAGE=" + strings.Join(arguments, " ")
	g.kernel = &line
	return nil
}

func (g *grub) initrd(ctx context.Context, arguments []string) error {
	if g.kernel == nil {
		return errors.New("you need to load the kernel first")
	}
	if len(arguments) == 0 {
		return errors.New("filename expected")
	}
	for _, name := range arguments {
		if err := g.load(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// include runs another file: source as if it stood here, configfile with a menu of its own.
func (g *grub) include(ctx context.Context, command string, arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("filename expected")
	}
	nodes, err := g.read(ctx, arguments[0])
	if err != nil {
		return err
	}
	g.log.Debug().Str("file", arguments[0]).Msg("GRUB reads another configuration")
	if command == "configfile" {
		return g.config(ctx, nodes)
	}
	if g.depth++; g.depth > maxDepth {
		return errors.New("configurations read each other without end")
	}
	defer func() { g.depth-- }()
	return g.run(ctx, nodes)
}

// chainload takes what is on the local disk; nothing else is there.
func (g *grub) chainload(arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("filename expected")
	}
	root := g.variables["root"]
	if !strings.HasPrefix(arguments[0], "(hd0") && !strings.HasPrefix(root, "hd0") {
		return fmt.Errorf("%q is not on the local disk", arguments[0])
	}
	g.chained = true
	return nil
}

// test holds a condition of one operator.
func (g *grub) test(ctx context.Context, name string, arguments []string) error {
	if name == "[" {
		last := len(arguments) - 1
		if last < 0 || arguments[last] != "]" {
			return errors.New("] is missing")
		}
		arguments = arguments[:last]
	}
	holds := false
	switch {
	case len(arguments) == 1:
		holds = arguments[0] != ""
	case len(arguments) == 2 && arguments[0] == "-z":
		holds = arguments[1] == ""
	case len(arguments) == 2 && arguments[0] == "-n":
		holds = arguments[1] != ""
	case len(arguments) == 2 && (arguments[0] == "-e" || arguments[0] == "-f" || arguments[0] == "-s"):
		holds = g.load(ctx, arguments[1]) == nil
	case len(arguments) == 3 && (arguments[1] == "=" || arguments[1] == "=="):
		holds = arguments[0] == arguments[2]
	case len(arguments) == 3 && arguments[1] == "!=":
		holds = arguments[0] != arguments[2]
	default:
		return fmt.Errorf("the condition %q is not known here", strings.Join(arguments, " "))
	}
	if !holds {
		return errFalse
	}
	return nil
}
