package netboot

import (
	"fmt"
	"strconv"
	"strings"
)

// pxeConfig is a configuration of PXELINUX (doc/syslinux.txt of the Syslinux project).
type pxeConfig struct {
	start  string
	labels map[string]pxeEntry
	// waits tells that the prompt waits without end.
	waits bool
}

// pxeEntry is what is said about one label.
type pxeEntry struct {
	kernel, append, initrd string
	com32, localBoot       bool
	sysAppend              int
	// appended and sysAppended tell that the entry has these itself.
	appended, sysAppended bool
}

// pxeParser goes through a configuration line by line.
type pxeParser struct {
	config pxeConfig
	// all is what was said before the first label, for those that do not say it themselves.
	all   pxeEntry
	label string
	entry *pxeEntry
	// text is set within TEXT and ENDTEXT.
	text    bool
	prompt  bool
	timeout int
}

// parsePXELINUX reads a configuration. Unlike PXELINUX it does not go on after a line that it does not understand.
func parsePXELINUX(text string) (pxeConfig, error) {
	p := &pxeParser{config: pxeConfig{labels: map[string]pxeEntry{}}}
	number := 0
	for line := range strings.Lines(text) {
		number++
		if err := p.line(strings.TrimSpace(line)); err != nil {
			return pxeConfig{}, fmt.Errorf("line %d: %w", number, err)
		}
	}
	p.close()
	if p.text {
		return pxeConfig{}, fmt.Errorf("line %d: TEXT has no ENDTEXT", number)
	}
	p.config.waits = p.prompt && p.timeout == 0
	return p.config, nil
}

func (p *pxeParser) line(line string) error {
	word, value, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	value = strings.TrimSpace(value)
	keyword := strings.ToLower(word)
	if p.text {
		p.text = keyword != "endtext"
		return nil
	}
	if keyword == "" || strings.HasPrefix(keyword, "#") {
		return nil
	}
	if p.entry != nil {
		known, err := p.inLabel(keyword, value)
		if known || err != nil {
			return err
		}
	}
	known, err := p.anywhere(keyword, value)
	if err == nil && !known {
		err = fmt.Errorf("unknown keyword %q", word)
	}
	return err
}

// inLabel takes what is said about a label.
func (p *pxeParser) inLabel(keyword, value string) (known bool, err error) {
	e := p.entry
	switch keyword {
	case "kernel", "linux", "com32":
		if value == "" {
			return true, fmt.Errorf("%s names no file", keyword)
		}
		e.kernel, e.com32 = value, keyword == "com32"
	case "initrd":
		e.initrd = value
	case "localboot":
		if _, err := strconv.ParseInt(value, 0, 32); err != nil {
			return true, fmt.Errorf("LOCALBOOT has the type %q, which is no number", value)
		}
		e.localBoot = true
	case "text":
		p.text = true
	default:
		return false, nil
	}
	return true, nil
}

// anywhere takes what may stand before labels too.
func (p *pxeParser) anywhere(keyword, value string) (known bool, err error) {
	about := &p.all
	if p.entry != nil {
		about = p.entry
	}
	switch keyword {
	case "label":
		p.close()
		p.label, p.entry = value, &pxeEntry{}
		if value == "" || strings.Contains(value, " ") {
			return true, fmt.Errorf("a label cannot be called %q", value)
		}
	case "default":
		p.config.start = value
	case "append":
		about.append, about.appended = value, true
		if value == "-" {
			about.append = ""
		}
	case "ipappend", "sysappend":
		about.sysAppended = true
		bits, err := strconv.ParseInt(value, 0, 32)
		if err != nil {
			return true, fmt.Errorf("%s has %q, which is no number", keyword, value)
		}
		about.sysAppend = int(bits)
	case "prompt":
		p.prompt = value != "0"
	case "timeout":
		if p.timeout, err = strconv.Atoi(value); err != nil {
			return true, fmt.Errorf("TIMEOUT has %q, which is no number", value)
		}
	case "totaltimeout", "serial", "console", "say", "display", "menu", "noescape", "nocomplete", "allowoptions", "implicit":
	default:
		return false, nil
	}
	return true, nil
}

// close ends a label.
func (p *pxeParser) close() {
	if p.entry == nil {
		return
	}
	e := *p.entry
	if !e.appended {
		e.append = p.all.append
	}
	if !e.sysAppended {
		e.sysAppend = p.all.sysAppend
	}
	p.config.labels[p.label] = e
	p.entry = nil
}
