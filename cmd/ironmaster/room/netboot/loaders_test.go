package netboot

import (
	"context"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// onMessage calls do when something is logged.
type onMessage struct {
	message string
	do      func()
}

func (o onMessage) Run(_ *zerolog.Event, _ zerolog.Level, message string) {
	if message == o.message {
		o.do()
	}
}

// TestBadPXELINUX has configurations that PXELINUX would complain about, or stand still with.
func TestBadPXELINUX(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{"default x\nlabl x\n", `line 2: unknown keyword "labl"`},
		{"kernel x\n", "unknown keyword"},
		{"label x\nkernel\n", "line 2: kernel names no file"},
		{"label a b\n", "a label cannot be called"},
		{"label x\nlocalboot disk\n", "which is no number"},
		{"label x\nipappend two\n", "which is no number"},
		{"timeout soon\n", "TIMEOUT"},
		{"label x\ntext help\nhello\n", "TEXT has no ENDTEXT"},
	} {
		if _, err := parsePXELINUX(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q is answered with %v, not %q", c.config, err, c.want)
		}
	}
}

// TestPXELINUXInherits has what stands before the labels for those that do not say it.
func TestPXELINUXInherits(t *testing.T) {
	c, err := parsePXELINUX("APPEND all\nIPAPPEND 1\nDEFAULT a\nPROMPT 1\nLABEL a\nKERNEL k\nLABEL b\nKERNEL k\nAPPEND -\n" +
		"SYSAPPEND 3\nTEXT HELP\n nonsense \nENDTEXT\n")
	must(t, err)
	a, b := c.labels["a"], c.labels["b"]
	if a.append != "all" || a.sysAppend != 1 || b.append != "" || b.sysAppend != 3 || c.start != "a" || !c.waits {
		t.Errorf("it is understood as %+v", c)
	}
}

func FuzzPXELINUX(f *testing.F) {
	f.Add(ironicPXE)
	f.Add("DEFAULT a\nPROMPT 1\nTIMEOUT 50\nLABEL a\nLOCALBOOT 0x80\nTEXT\nx\nENDTEXT\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parsePXELINUX(text)
		for name := range c.labels {
			if err == nil && (name == "" || strings.Contains(name, " ")) {
				t.Errorf("there is a label %q", name)
			}
		}
	})
}

// grubOn runs a configuration without a network behind it.
func grubOn(t *testing.T, text string) (*grub, error) {
	nodes, err := parseGRUB(text)
	if err != nil {
		return nil, err
	}
	b := &boot{m: testMachine(t, true), network: &Network{}}
	g := &grub{boot: b, loader: file{server: "127.0.0.1", name: "grubx64.efi"}, variables: map[string]string{"root": "hd0,gpt1"}}
	return g, g.config(t.Context(), nodes)
}

func TestGRUBScripts(t *testing.T) {
	for _, c := range []struct{ name, script, reason string }{
		{"variables", "set a=x\nb=\"$a y\"\nif [ \"${b}\" = 'x y' ]; then exit; fi\n", "exit"},
		{"else", "if [ -z x ]; then reboot; elif false; then halt\nelse\n exit # so\nfi\n", "exit"},
		{"a menu's entry by title", "set default=\"a b\"\nmenuentry 'x' { reboot; }\nmenuentry \"a b\" --class os {\n chainloader +1\n}\n", "chainloader"},
		{"by id", "default=z\nmenuentry x --id y { reboot; }\nmenuentry x --id=z { exit; }\n", "exit"},
		{"by number", "set default=1\nmenuentry x { reboot\n}\nmenuentry y { exit\n}\n", "exit"},
		{"the first when there is none", "set default=none\nmenuentry x { exit\n}\nmenuentry y { reboot\n}\n", "exit"},
		{"lines that go on", "set \\\n a=1; [ $a = 1 ]\nexit\n", "exit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := grubOn(t, c.script)
			must(t, err)
			if g.outcome == nil || !strings.Contains(g.outcome.Reason, c.reason) {
				t.Errorf("it ended in %+v", g.outcome)
			}
		})
	}
}

func TestBadGRUB(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"menuentry 'x' {\n exit\n", "menuentry's block has no end"},
		{"menuentry 'x'\n", "menuentry has no block"},
		{"exit\n}\n", `line 2: syntax error: "}" has no beginning`},
		{"echo 'x\n", "a quote has no end"},
		{"if true\nexit\n", "if has no then"},
		{"if true; then exit\n", "if has no fi"},
		{"echo a | b\n", "unexpected"},
		{"while true; do exit; done\n", `"while" is not known here`},
		{"\nkernel x\n", "line 2: kernel: can't find command"},
		{"linux\n", "filename expected"},
		{"initrd x\n", "you need to load the kernel first"},
		{"boot\n", "you need to load the kernel first"},
		{"set x\n", "sets nothing"},
		{"[ a\n", "] is missing"},
		{"menuentry x --nonsense { exit; }\n", "unknown argument"},
		{"linux /kernel\n", "no such device"},
	} {
		if _, err := grubOn(t, c.script); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q is answered with %v, not %q", c.script, err, c.want)
		}
	}
}

func FuzzGRUB(f *testing.F) {
	f.Add(ironicGRUB)
	f.Add(initialGRUB)
	f.Add("if [ -e $prefix/x86_64-efi/grub.cfg ]; then\n source ${prefix}/x\nelse\n exit\nfi\n")
	f.Add("menuentry \"a\" --id b { set x='y' ; }")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = parseGRUB(text) })
}

// ipxeOn runs a script without a network behind it.
func ipxeOn(t *testing.T, text string) (*ipxe, error) {
	x := &ipxe{boot: &boot{m: testMachine(t, false), network: &Network{}}, commands: ipxeCommands()}
	x.settings = x.known(answer{})
	return x, runText(t.Context(), x, text)
}

func runText(ctx context.Context, x *ipxe, text string) error {
	s, err := parseScript(text)
	if err != nil {
		return err
	}
	return (&runningScript{ipxe: x, from: file{server: "127.0.0.1", name: "script"}, script: s}).run(ctx)
}

func TestIPXEScripts(t *testing.T) {
	for _, c := range []struct{ name, script, said string }{
		{"settings", "set a:int32 3\ninc a\necho ${a} ${mac} ${net1/mac:hexhyp} ${nothing}.", "4 52:54:00:12:34:56 52-54-00-12-34-57 ."},
		{"one within another", "set n 1\necho ${net${n}/mac:hexraw}", "525400123457"},
		{"after failure", "iseq a b || echo failed", "failed"},
		{"after success", "iseq a a && echo same || echo failed", "same"},
		{"not after failure", "set x 1\niseq a b && goto away ||\necho on\n:away", "on"},
		{"always", "iseq a b ; echo on", "on"},
		{"jumps", "goto end\necho no\n:end\necho yes", "yes"},
		{"jumps back", "set i:int32 0\n:again\ninc i\niseq ${i} 5 || goto again\necho ${i}", "5"},
		{"comments", "# nothing\necho a # b\n", "a"},
		{"quotes", "echo 'a  b' \"c\"\\ d", "a  b c d"},
		{"long lines", "echo a \\\nb", "a b"},
		{"unset", "isset ${net9/mac} || echo none", "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := ipxeOn(t, "#!ipxe\n"+c.script+"\n")
			must(t, err)
			if x.said != c.said {
				t.Errorf("it said %q, not %q", x.said, c.said)
			}
		})
	}
}

func TestBadIPXE(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"echo a\n", "does not begin with #!ipxe"},
		{"#!ipxe\ngoto nowhere || exit 0\n", `line 2: goto: there is no label "nowhere"`},
		{"#!ipxe\niseq a b\n", "line 2: iseq: they differ"},
		{"#!ipxe\nboot\n", "no kernel to boot"},
		{"#!ipxe\nkernel --nonsense x\n", `it has no option "--nonsense"`},
		{"#!ipxe\nset i:int32 x\n", "is no number"},
		{"#!ipxe\nprompt\n", "nobody is there"},
		{"#!ipxe\n:a\ngoto a\n", "the script does not end"},
		{"#!ipxe\nexit 1\n", "ended with 1"},
		{"#!ipxe\nset a ${b}\nset b x${ip:hexhyp}\n", "cannot be shown"},
	} {
		if _, err := ipxeOn(t, c.script); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q is answered with %v, not %q", c.script, err, c.want)
		}
	}
}

func FuzzIPXE(f *testing.F) {
	f.Add(bootIPXE)
	f.Add(ironicIPXE)
	f.Add("#!ipxe\necho ${net${netid}/mac:hexhyp} 'a' \"b\" \\\n || exit 1 && boot ; # x\n")
	f.Fuzz(func(_ *testing.T, text string) {
		s, err := parseScript(text)
		if err != nil {
			return
		}
		x := &ipxe{settings: map[string]setting{"mac": {value: testMAC, kind: "hex"}}}
		for _, line := range s.lines {
			if expanded, err := x.expand(line); err == nil {
				splitWords(expanded)
			}
		}
	})
}
