package pxe

import (
	"embed"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nikolalohinski/gonja/v2"
	"github.com/nikolalohinski/gonja/v2/exec"

	"github.com/ironmaster/ironmaster/store"
)

// TemplateConfig names the Jinja2 templates of an operator; "" stands for the one that is built in.
type TemplateConfig struct {
	// BIOS, UEFI and IPXE are [pxe]pxe_config_template, uefi_pxe_config_template and ipxe_config_template; ByArch
	// (pxe_config_template_by_arch) wins over the first two.
	BIOS, UEFI, IPXE string
	ByArch           map[string]string
	// BootScript and FirstGrub are [pxe]ipxe_boot_script and initial_grub_template.
	BootScript, FirstGrub string
	// FallbackScript is [pxe]ipxe_fallback_script: what iPXE chains to when it finds no script for a machine.
	FallbackScript string
	// NoFirstGrub writes no configuration that GRUB reads first.
	NoFirstGrub bool
	// PerNode lets driver_info.pxe_template name a template ([pxe]enable_insecure_template_override): any file of this host
	// that this process may read.
	PerNode bool
}

//go:embed templates
var builtIn embed.FS

// templates are those in use, parsed at start.
type templates struct {
	cfg              TemplateConfig
	bios, uefi, ipxe *exec.Template
	byArch           map[string]*exec.Template
	boot, grub       *exec.Template
	scriptName       string
}

func parseTemplates(cfg TemplateConfig) (*templates, error) {
	t := &templates{cfg: cfg, byArch: map[string]*exec.Template{}, scriptName: "boot.ipxe"}
	for _, one := range []struct {
		into               **exec.Template
		option, path, name string
	}{
		{&t.bios, "pxe_config_template", cfg.BIOS, "pxelinux"},
		{&t.uefi, "uefi_pxe_config_template", cfg.UEFI, "grub"},
		{&t.ipxe, "ipxe_config_template", cfg.IPXE, "ipxe"},
		{&t.boot, "ipxe_boot_script", cfg.BootScript, "boot.ipxe"},
		{&t.grub, "initial_grub_template", cfg.FirstGrub, "grub.cfg"},
	} {
		var err error
		if *one.into, err = parseTemplate(one.path, one.name); err != nil {
			return nil, fmt.Errorf("[pxe]%s: %w", one.option, err)
		}
	}
	for arch, path := range cfg.ByArch {
		parsed, err := gonja.FromFile(path)
		if err != nil {
			return nil, fmt.Errorf("[pxe]pxe_config_template_by_arch, %s: %w", arch, err)
		}
		t.byArch[arch] = parsed
	}
	if cfg.BootScript != "" {
		t.scriptName = filepath.Base(cfg.BootScript)
	}
	return t, nil
}

// parseTemplate reads an operator's template, or else the one that is built in.
func parseTemplate(path, name string) (*exec.Template, error) {
	if path != "" {
		return gonja.FromFile(path)
	}
	text, err := builtIn.ReadFile("templates/" + name)
	if err != nil {
		return nil, err
	}
	return gonja.FromBytes(text)
}

// bootScript renders iPXE's first script.
func (t *templates) bootScript(cfg Config) (string, error) {
	return render(t.boot, map[string]any{"ipxe_for_mac_uri": cfg.Subdir + "/", "ipxe_fallback_script": t.cfg.FallbackScript})
}

// firstGrub renders GRUB's first configuration. prefix is the part of the paths in it that the server has before the root.
func (t *templates) firstGrub(root, prefix string) (string, error) {
	if t.cfg.NoFirstGrub {
		return "", nil
	}
	return render(t.grub, map[string]any{"tftp_root": root, "prefix": prefix})
}

// choose returns the template of a node's configuration.
func (t *templates) choose(n *store.Node, mode string, ipxe bool) (*exec.Template, error) {
	if own := n.DriverInfo.String("pxe_template"); own != "" {
		if !t.cfg.PerNode {
			return nil, refusePerNode(ipxe)
		}
		parsed, err := gonja.FromFile(own)
		if err != nil {
			return nil, store.Errorf(store.InvalidParameterValue, "The pxe_template in driver_info of node %s cannot be used: %w",
				n.UUID, err)
		}
		return parsed, nil
	}
	if ipxe {
		return t.ipxe, nil
	}
	if parsed := t.byArch[n.Properties.String("cpu_arch")]; parsed != nil {
		return parsed, nil
	}
	if mode == store.BootModeUEFI {
		return t.uefi, nil
	}
	return t.bios, nil
}

func refusePerNode(ipxe bool) error {
	option := "pxe_template_by_arch"
	if ipxe {
		option = "ipxe_template_by_arch"
	}
	return store.Errorf(store.InvalidParameterValue, "The node's driver_info field pxe_template override value is insecure "+
		"(CVE-2026-44917) and should not be used. The appropriate approach is to utilize [pxe]%s configuration in ironic.conf "+
		"to match the baremetal node's architecture. Please work with your Ironic operator to remedy your usage and "+
		"configuration. Default templates may be leveraged by deleting the pxe_template value in the driver_info field.", option)
}

func render(t *exec.Template, values map[string]any) (string, error) {
	text, err := t.ExecuteToString(exec.NewContext(values))
	if err != nil {
		return "", fmt.Errorf("rendering a boot configuration: %w", err)
	}
	// Jinja2 drops one newline at the end, which files are to have.
	return strings.TrimRight(text, "\n") + "\n", nil
}

// The lines that say which section of a configuration is booted, and the marks that stand for the local disk, as ironic's
// templates have them.
var (
	grubDefault     = regexp.MustCompile(`(?m)^((?:set )?default)=.*$`)
	pxelinuxDefault = regexp.MustCompile(`(?m)^default .*$`)
	ipxeGoto        = regexp.MustCompile(`(?m)^goto .*$`)
	diskMark        = regexp.MustCompile(`(?:\(\(|\{\{) DISK_IDENTIFIER (?:\)\)|\}\})`)
)

// bootSection makes a rendered configuration boot one of its sections, by whatever template it was made.
func bootSection(text, section string, grub, ipxe bool) string {
	switch {
	case grub:
		return grubDefault.ReplaceAllString(text, "${1}="+section)
	case ipxe:
		return ipxeGoto.ReplaceAllString(text, "goto "+section)
	}
	return pxelinuxDefault.ReplaceAllString(text, "default "+section)
}
