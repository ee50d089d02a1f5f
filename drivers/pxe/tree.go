package pxe

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// tree is a folder that a TFTP or HTTP server serves, with ironic's layout:
//
//	<uuid>/config, deploy_kernel, deploy_ramdisk   what one node boots
//	<subdir>/01-<mac>, or <subdir>/<mac> for iPXE   links to config, the MAC address in small letters with dashes
//	<mac>.conf, grub.cfg-01-<mac>, <ip>.conf        links for GRUB
//
// Everything is replaced by renaming, so that a server that reads meanwhile gets the old or the new. A crash leaves names that
// begin with partialPrefix, which the next writing of the same file takes over.
type tree struct {
	root, subdir      string
	dirMode, fileMode fs.FileMode
}

const (
	configName    = "config"
	partialPrefix = ".ironmaster-"
)

func (tr tree) nodeDir(n *store.Node) string { return filepath.Join(tr.root, n.UUID) }

func (tr tree) config(n *store.Node) string { return filepath.Join(tr.nodeDir(n), configName) }

// makeDir creates a folder that is missing. One that an operator made keeps its mode.
func (tr tree) makeDir(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if err := os.MkdirAll(path, 0o755); err != nil { //nolint:gosec // a TFTP server of another user reads it
		return err
	}
	if tr.dirMode == 0 {
		return nil
	}
	return os.Chmod(path, tr.dirMode)
}

// put replaces a node's file.
func (tr tree) put(n *store.Node, name, content string) error {
	if err := tr.makeDir(tr.nodeDir(n)); err != nil {
		return err
	}
	return tr.write(filepath.Join(tr.nodeDir(n), name), strings.NewReader(content))
}

// putShared replaces a file of all nodes, unless it has that content already.
func (tr tree) putShared(name, content string) error {
	path := filepath.Join(tr.root, name)
	if is, err := os.ReadFile(path); err == nil && string(is) == content {
		return nil
	}
	if err := tr.makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	return tr.write(path, strings.NewReader(content))
}

// write goes through a file of its own: several nodes may write what they share at once.
func (tr tree) write(path string, content io.Reader) error {
	partial, err := os.CreateTemp(filepath.Dir(path), partialPrefix+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	_, err = io.Copy(partial, content)
	mode := tr.fileMode
	if mode == 0 {
		mode = 0o644
	}
	err = errors.Join(err, partial.Chmod(mode), partial.Close())
	if err == nil {
		err = os.Rename(partial.Name(), path)
	}
	if err != nil {
		_ = os.Remove(partial.Name())
	}
	return err
}

// adopt gives a node a file that lies elsewhere on the same file system, by a hard link.
func (tr tree) adopt(n *store.Node, name, from string) error {
	path := filepath.Join(tr.nodeDir(n), name)
	if err := tr.makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if same(path, from) {
		return nil
	}
	partial := filepath.Join(filepath.Dir(path), partialPrefix+filepath.Base(path))
	if err := removeFile(partial); err != nil {
		return err
	}
	if err := os.Link(from, partial); err != nil {
		return err
	}
	if tr.fileMode != 0 {
		if err := os.Chmod(partial, tr.fileMode); err != nil {
			return err
		}
	}
	return os.Rename(partial, path)
}

func same(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// link makes path lead to the node's configuration. A link that leads to another node's configuration, which is still there,
// is that node's: two machines with one MAC address cannot both boot.
func (tr tree) link(n *store.Node, path string) error {
	if other := tr.owner(path); other != "" && other != n.UUID {
		if _, err := os.Stat(filepath.Join(tr.root, other, configName)); err == nil {
			return store.Errorf(store.InvalidParameterValue, "%s leads to the boot configuration of node %s, so node %s cannot "+
				"have it: two nodes must not have the same address. Remove it if that node is gone.", path, other, n.UUID)
		}
	}
	if err := tr.makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	target, err := filepath.Rel(filepath.Dir(path), tr.config(n))
	if err != nil {
		return err
	}
	if is, err := os.Readlink(path); err == nil && is == target {
		return nil
	}
	partial := filepath.Join(filepath.Dir(path), partialPrefix+n.UUID+"-"+filepath.Base(path))
	if err := removeFile(partial); err != nil {
		return err
	}
	if err := os.Symlink(target, partial); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

// owner returns the UUID of the node that a link leads to, "" when path is no such link.
func (tr tree) owner(path string) string {
	target, err := os.Readlink(path)
	if err != nil || filepath.Base(target) != configName {
		return ""
	}
	owner := filepath.Base(filepath.Dir(target))
	if filepath.Join(filepath.Dir(path), target) != filepath.Join(tr.root, owner, configName) {
		return ""
	}
	return owner
}

// remove takes away a node's folder and every link to it, also those of ports that are not the node's any more.
func (tr tree) remove(n *store.Node) error {
	if n.UUID == "" {
		return errors.New("a node without UUID has no boot configuration")
	}
	for _, dir := range slices.Compact([]string{filepath.Clean(tr.root), filepath.Join(tr.root, tr.subdir)}) {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if e.Type()&fs.ModeSymlink == 0 || tr.owner(path) != n.UUID {
				continue
			}
			if err := removeFile(path); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(tr.nodeDir(n))
}

// removeRamdisks takes away everything of a node but its configuration.
func (tr tree) removeRamdisks(n *store.Node) error {
	entries, err := os.ReadDir(tr.nodeDir(n))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == configName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(tr.nodeDir(n), e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// macForm is how the database holds MAC addresses, of Ethernet and of InfiniBand.
var macForm = regexp.MustCompile(`^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5,19}$`)

// macPaths are the links of one port: pxelinux or iPXE first, then two that GRUB may ask for.
func (tr tree) macPaths(p *store.Port, ipxe bool) []string {
	dashed := strings.ToLower(strings.ReplaceAll(p.Address, ":", "-"))
	name := dashed
	if !ipxe {
		name = "01-" + dashed
		if p.Extra.String("client-id") != "" {
			name = "20-" + dashed // InfiniBand's hardware type
		}
	}
	return []string{filepath.Join(tr.root, tr.subdir, name), filepath.Join(tr.root, "grub.cfg-01-"+dashed),
		filepath.Join(tr.root, p.Address+".conf")}
}

// linkAddress links an IP address, which may have been another node's a while ago: DHCP gives them anew.
func (tr tree) linkAddress(n *store.Node, address string) error {
	if net.ParseIP(address) == nil {
		return fmt.Errorf("%q is no IP address", address)
	}
	path := filepath.Join(tr.root, address+".conf")
	if tr.owner(path) != n.UUID {
		if err := removeFile(path); err != nil {
			return err
		}
	}
	return tr.link(n, path)
}

// placeLoaders copies boot loaders into the tree. Names are relative; those with folders make them.
func (tr tree) placeLoaders(files map[string]string) error {
	for name, from := range files {
		if !filepath.IsLocal(name) {
			return store.Errorf(store.IncorrectConfiguration, "Supplied configuration is incorrect and must be fixed. Error: File "+
				"paths configured for [pxe]loader_file_paths must be relative paths. Entry: %s", name)
		}
		if err := tr.copyLoader(name, from); err != nil {
			return store.Errorf(store.IncorrectConfiguration, "Supplied configuration is incorrect and must be fixed. Error: Error "+
				"encountered while attempting to copy a configured bootloader into the requested destination. %w", err)
		}
	}
	return nil
}

func (tr tree) copyLoader(name, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	path := filepath.Join(tr.root, name)
	if err := tr.makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := tr.write(path, source); err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	return nil
}
