package netboot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
)

// fatalError is what iPXE would not understand. A script cannot go on after it with ||, as it could in iPXE, for it is a fault
// of the script and not of what it does.
type fatalError struct{ err error }

func (f *fatalError) Error() string { return f.err.Error() }
func (f *fatalError) Unwrap() error { return f.err }

func fatal(format string, values ...any) error { return &fatalError{fmt.Errorf(format, values...)} }

// ipxeCommand is a command with the options that take a value, those that take none, and how many arguments it wants.
type ipxeCommand struct {
	valued, plain []string
	least, most   int
	do            func(*runningScript, context.Context, map[string]string, []string) error
}

const anyNumber = 1 << 10

var imageOptions = []string{"--name", "-n", "--timeout", "-t"}

var imagePlain = []string{"--autofree", "-a", "--replace", "-r"}

// ipxeCommands are the commands that boot scripts use.
func ipxeCommands() map[string]ipxeCommand {
	return map[string]ipxeCommand{
		"set":   {least: 1, most: anyNumber, do: (*runningScript).set},
		"clear": {least: 1, most: 1, do: (*runningScript).clear},
		"inc":   {least: 1, most: 2, do: (*runningScript).inc},
		"iseq":  {least: 2, most: 2, do: (*runningScript).iseq},
		"isset": {least: 1, most: 1, do: (*runningScript).isset},
		"goto":  {least: 1, most: 1, do: (*runningScript).jump},
		"exit":  {most: 1, do: (*runningScript).exit},
		"echo":  {plain: []string{"-n"}, most: anyNumber, do: (*runningScript).echo},
		"sleep": {least: 1, most: 1, do: (*runningScript).sleep},
		"prompt": {valued: []string{"--key", "-k", "--timeout", "-t"}, most: anyNumber,
			do: (*runningScript).prompt},
		"imgfree":  {most: 1, do: (*runningScript).free},
		"kernel":   {valued: imageOptions, plain: imagePlain, least: 1, most: anyNumber, do: (*runningScript).loadKernel},
		"initrd":   {valued: imageOptions, plain: imagePlain, least: 1, most: anyNumber, do: (*runningScript).loadInitrd},
		"imgargs":  {least: 1, most: anyNumber, do: (*runningScript).arguments},
		"chain":    {valued: imageOptions, plain: imagePlain, least: 1, most: anyNumber, do: (*runningScript).chainTo},
		"boot":     {valued: imageOptions, plain: imagePlain, most: anyNumber, do: (*runningScript).bootNow},
		"sanboot":  {valued: []string{"--drive", "-d"}, plain: []string{"--no-describe", "-n", "--keep", "-k"}, most: 1, do: (*runningScript).sanboot},
		"reboot":   {plain: []string{"--warm", "-w"}, do: (*runningScript).reboot},
		"poweroff": {do: (*runningScript).powerOff},
		"dhcp":     {most: anyNumber, do: (*runningScript).nothing},
		"ifopen":   {most: anyNumber, do: (*runningScript).nothing},
	}
}

// command runs one command. No words are a success.
func (s *runningScript) command(ctx context.Context, words []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.steps++; s.steps > maxSteps {
		return fatal("the script does not end")
	}
	if len(words) == 0 {
		return nil
	}
	c, known := s.commands[words[0]]
	if !known {
		return fatal("%s: command not found", words[0])
	}
	options, arguments, err := c.parse(words[1:])
	if err != nil {
		return fatal("%s: %w", words[0], err)
	}
	if len(arguments) < c.least || len(arguments) > c.most {
		return fmt.Errorf("%s: wrong number of arguments", words[0])
	}
	if err := c.do(s, ctx, options, arguments); err != nil {
		return fmt.Errorf("%s: %w", words[0], err)
	}
	return nil
}

// parse takes the options from the front of a command's words.
func (c ipxeCommand) parse(words []string) (options map[string]string, arguments []string, err error) {
	options = map[string]string{}
	for len(words) > 0 && len(words[0]) > 1 && words[0][0] == '-' {
		name, value, given := strings.Cut(words[0], "=")
		switch {
		case slices.Contains(c.valued, name) && given:
			words = words[1:]
		case slices.Contains(c.valued, name) && len(words) > 1:
			value, words = words[1], words[2:]
		case slices.Contains(c.plain, name) && !given:
			words = words[1:]
		default:
			if _, err := strconv.Atoi(words[0]); err == nil {
				return options, words, nil // a negative number
			}
			return nil, nil, fmt.Errorf("it has no option %q", words[0])
		}
		options[name] = value
	}
	return options, words, nil
}

func (s *runningScript) set(_ context.Context, _ map[string]string, words []string) error {
	name, kind, _ := strings.Cut(words[0], ":")
	value := setting{value: strings.Join(words[1:], " "), kind: kind}
	if strings.Contains(kind, "int") {
		if _, err := strconv.Atoi(value.value); err != nil {
			return fatal("%q is no number", value.value)
		}
	}
	s.settings[name] = value
	return nil
}

func (s *runningScript) clear(_ context.Context, _ map[string]string, words []string) error {
	delete(s.settings, words[0])
	return nil
}

func (s *runningScript) inc(_ context.Context, _ map[string]string, words []string) error {
	by := 1
	var err error
	if len(words) > 1 {
		if by, err = strconv.Atoi(words[1]); err != nil {
			return fatal("%q is no number", words[1])
		}
	}
	old := s.settings[words[0]]
	n := 0
	if old.value != "" {
		if n, err = strconv.Atoi(old.value); err != nil {
			return fatal("%s is %q, which is no number", words[0], old.value)
		}
	}
	s.settings[words[0]] = setting{value: strconv.Itoa(n + by), kind: "int32"}
	return nil
}

var errDiffer = errors.New("they differ")

func (s *runningScript) iseq(_ context.Context, _ map[string]string, words []string) error {
	if words[0] != words[1] {
		return errDiffer
	}
	return nil
}

func (s *runningScript) isset(_ context.Context, _ map[string]string, words []string) error {
	if words[0] == "" {
		return errors.New("it is not set")
	}
	return nil
}

func (s *runningScript) jump(_ context.Context, _ map[string]string, words []string) error {
	at, found := s.script.labels[words[0]]
	if !found {
		return fatal("there is no label %q", words[0])
	}
	s.at, s.jumped = at, true
	return nil
}

func (s *runningScript) exit(_ context.Context, _ map[string]string, words []string) error {
	s.ended = true
	if len(words) == 0 || words[0] == "0" {
		return nil
	}
	return fmt.Errorf("the script ended with %s", words[0])
}

func (s *runningScript) echo(_ context.Context, _ map[string]string, words []string) error {
	if text := strings.Join(words, " "); text != "" {
		s.said = text
		s.log.Debug().Str("text", text).Msg("iPXE says")
	}
	return nil
}

// sleep waits so many seconds, as scripts do before they try again.
func (s *runningScript) sleep(ctx context.Context, _ map[string]string, words []string) error {
	seconds, err := strconv.Atoi(words[0])
	if err != nil {
		return fatal("%q is no number", words[0])
	}
	return drivers.Pause(ctx, drivers.Seconds(seconds))
}

// prompt waits for a key that nobody presses.
func (s *runningScript) prompt(ctx context.Context, options map[string]string, _ []string) error {
	text := options["--timeout"] + options["-t"]
	if text == "" || text == "0" {
		return fatal("it waits for a key, and nobody is there")
	}
	ms, err := strconv.Atoi(text)
	if err != nil {
		return fatal("%q is no number", text)
	}
	if err := drivers.Pause(ctx, time.Duration(ms)*time.Millisecond); err != nil {
		return err
	}
	return errors.New("no key was pressed")
}

func (s *runningScript) free(context.Context, map[string]string, []string) error {
	s.kernel, s.initrds = nil, nil
	return nil
}

// load fetches an image that a script names.
func (s *runningScript) load(ctx context.Context, options map[string]string, words []string) (image, error) {
	from, limit, err := s.named(options, words[0])
	if err != nil {
		return image{}, err
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	if _, err := s.fetch.load(ctx, from); err != nil {
		return image{}, fmt.Errorf("fetching %s: %w", from, err)
	}
	return s.image(options, from, words), nil
}

func (s *runningScript) image(options map[string]string, from file, words []string) image {
	name := options["--name"] + options["-n"]
	if name == "" {
		name = from.base()
	}
	return image{name: name, arguments: strings.Join(words[1:], " ")}
}

// named is the file that a script names, and how long it may take.
func (s *runningScript) named(options map[string]string, name string) (file, time.Duration, error) {
	from, err := s.from.beside(name)
	if err != nil {
		return file{}, 0, &fatalError{err}
	}
	text := options["--timeout"] + options["-t"]
	if text == "" {
		return from, 0, nil
	}
	ms, err := strconv.Atoi(text)
	if err != nil {
		return file{}, 0, fatal("%q is no number", text)
	}
	return from, time.Duration(ms) * time.Millisecond, nil
}

func (s *runningScript) loadKernel(ctx context.Context, options map[string]string, words []string) error {
	kernel, err := s.load(ctx, options, words)
	if err == nil {
		s.kernel = &kernel
	}
	return err
}

func (s *runningScript) loadInitrd(ctx context.Context, options map[string]string, words []string) error {
	initrd, err := s.load(ctx, options, words)
	if err == nil {
		s.initrds = append(s.initrds, initrd)
	}
	return err
}

func (s *runningScript) arguments(_ context.Context, _ map[string]string, words []string) error {
	if s.kernel == nil || s.kernel.name != words[0] {
		return fmt.Errorf("there is no image %q", words[0])
	}
	s.kernel.arguments = strings.Join(words[1:], " ")
	return nil
}

func (s *runningScript) chainTo(ctx context.Context, options map[string]string, words []string) error {
	from, limit, err := s.named(options, words[0])
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = fetchTimeout
	}
	return s.chain(ctx, from, s.image(options, from, words), limit)
}

func (s *runningScript) bootNow(ctx context.Context, options map[string]string, words []string) error {
	if len(words) > 0 {
		return s.chainTo(ctx, options, words)
	}
	return s.boots()
}

// sanboot without a URL boots the BIOS's first disk. UEFI has none of that name.
func (s *runningScript) sanboot(_ context.Context, options map[string]string, words []string) error {
	if len(words) > 0 {
		return fatal("the room has no SAN to boot %s from", words[0])
	}
	if drive := options["--drive"] + options["-d"]; drive != "" && drive != "0x80" {
		return fmt.Errorf("there is no drive %s", drive)
	}
	if s.m.UEFI {
		return errors.New("could not boot from SAN device 0x80: no such device")
	}
	bootable, err := s.m.DiskBoots()
	if err == nil && !bootable {
		err = errors.New("the disk has no boot sector")
	}
	if err == nil {
		s.leave(BootNext, "sanboot of the local disk")
	}
	return err
}

func (s *runningScript) reboot(context.Context, map[string]string, []string) error {
	s.leave(Reboot, "its script wants a reboot")
	return nil
}

func (s *runningScript) powerOff(context.Context, map[string]string, []string) error {
	s.leave(PowerOff, "its script switches the machine off")
	return nil
}

// nothing is for what was done before the script began.
func (s *runningScript) nothing(context.Context, map[string]string, []string) error { return nil }
