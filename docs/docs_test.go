// Package docs holds no code: its tests keep the documents true where that is cheap.
package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/graphical"
	"github.com/ironmaster/ironmaster/drivers/idrac"
	"github.com/ironmaster/ironmaster/drivers/ilo"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/drivers/irmc"
	"github.com/ironmaster/ironmaster/drivers/iscsi"
	"github.com/ironmaster/ironmaster/drivers/neutron"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/drivers/pxe"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/snmp"
	"github.com/ironmaster/ironmaster/drivers/storage"
)

const root = ".."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// table returns the rows below the header that begins with the given cells, each as its cells.
func table(t *testing.T, text, header string) [][]string {
	t.Helper()
	_, below, found := strings.Cut(text, "\n"+header+"\n")
	if !found {
		t.Fatalf("no table %q", header)
	}
	var rows [][]string
	for line := range strings.Lines(below) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			break
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	if len(rows) < 2 {
		t.Fatalf("the table %q is empty", header)
	}
	return rows[1:] // below the line of dashes
}

func TestReadmeNamesEveryOwnOption(t *testing.T) {
	documented := map[string]string{}
	for _, row := range table(t, read(t, "README.md"), "| option | default | meaning |") {
		documented[strings.Trim(row[0], "`")] = strings.Trim(row[1], "`")
	}
	options := map[string]string{}
	for field := range fields(reflect.TypeFor[config.Ironmaster]()) {
		options[field.Tag.Get("opt")] = field.Tag.Get("default")
	}
	if !maps.Equal(documented, options) {
		t.Errorf("README.md has %v, conductor/config has %v", documented, options)
	}
}

// TestOperationsNamesWhatReloads compares the list of options that SIGHUP changes with their tags.
func TestOperationsNamesWhatReloads(t *testing.T) {
	documented := map[string]bool{}
	_, list, _ := strings.Cut(read(t, "docs/operations.md"), "goes by the new values of")
	list, _, _ = strings.Cut(list, "Anything else")
	group := ""
	for _, name := range codeSpans(list) {
		if strings.HasPrefix(name, "[") {
			group = name
		} else {
			documented[group+name] = true
		}
	}
	options := map[string]bool{}
	for section := range fields(reflect.TypeFor[config.Settings]()) {
		if section.Type.Kind() != reflect.Struct {
			continue
		}
		for field := range fields(section.Type) {
			if field.Tag.Get("reload") == "true" {
				options["["+section.Tag.Get("group")+"]"+field.Tag.Get("opt")] = true
			}
		}
	}
	if !maps.Equal(documented, options) {
		t.Errorf("docs/operations.md has %v, conductor/config has %v", documented, options)
	}
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

var codeSpan = regexp.MustCompile("`([^`\n]+)`")

func codeSpans(text string) []string {
	var spans []string
	for _, m := range codeSpan.FindAllStringSubmatch(text, -1) {
		spans = append(spans, m[1])
	}
	return spans
}

// vendors are the interfaces of the vendors' hardware types.
func vendors() map[drivers.InterfaceType]map[string]drivers.Interface {
	all, media := map[drivers.InterfaceType]map[string]drivers.Interface{}, redfish.VirtualMediaConfig{}
	for _, own := range []map[drivers.InterfaceType]map[string]drivers.Interface{
		redfish.Interfaces(nil, nil), idrac.Interfaces(nil, idrac.Config{}, media, nil, nil), ilo.Interfaces(nil, ilo.Config{}, nil, media, nil, nil),
		irmc.Interfaces(nil, irmc.Config{}, nil, media, nil, nil),
		ipmi.Interfaces(ipmi.New(ipmi.DefaultConfig(), zerolog.Nop()))} {
		for typ, interfaces := range own {
			if all[typ] == nil {
				all[typ] = map[string]drivers.Interface{}
			}
			maps.Copy(all[typ], interfaces)
		}
	}
	all[drivers.TypePower]["snmp"] = &snmp.Power{}
	all[drivers.TypeConsole]["ilo"] = &ilo.Console{}
	all[drivers.TypeInspect] = map[string]drivers.Interface{"idrac-redfish": &redfish.Inspect{}, "ilo": &ilo.Inspect{}}
	maps.Copy(all[drivers.TypeBoot], map[string]drivers.Interface{"ilo-pxe": &ilo.NetworkBoot{}, "ilo-ipxe": &ilo.NetworkBoot{},
		"irmc-pxe": &pxe.Boot{}})
	return all
}

// buildOfAll is the catalog of a build in which everything is configured.
func buildOfAll() *drivers.Catalog {
	return catalog.New(catalog.Parts{Deploys: map[string]drivers.Deploy{"direct": &agent.Deploy{}, "iscsi": &iscsi.Deploy{},
		"custom-agent": &agent.CustomAgent{}, "ramdisk": &agent.Ramdisk{},
		"anaconda": &agent.Anaconda{}, "bootc": &agent.Bootc{}, "noop": noop.NewDeploy(),
		"autodetect": &agent.Autodetect{}}, AgentPower: &agent.Power{}, AgentRAID: &agent.RAID{},
		AgentRescue: &agent.Rescue{}, RedfishPower: &redfish.Power{}, RedfishInspect: &redfish.Inspect{}, AgentInspect: &agent.Inspect{},
		Inspector:         &agent.Inspector{},
		RedfishManagement: &redfish.Management{}, VirtualMedia: &redfish.VirtualMedia{}, RedfishHTTPS: &redfish.HTTPS{}, Firmware: true,
		PXE: &pxe.Boot{}, IPXE: &pxe.Boot{}, HTTP: &pxe.Boot{}, HTTPIPXE: &pxe.Boot{},
		Flat: &neutron.Flat{}, Neutron: &neutron.Separate{}, External: &storage.External{}, Cinder: &storage.Cinder{},
		GraphicalConsoles: map[string]drivers.Console{"fake-graphical": &graphical.Console{}, "redfish-graphical": &graphical.Console{}},
		Vendors:           vendors()})
}

func TestReadmeNamesEveryInterface(t *testing.T) {
	all := buildOfAll()
	readme := read(t, "README.md")
	documented := map[drivers.InterfaceType][]string{}
	for _, row := range table(t, readme, "| type | names |") {
		documented[drivers.InterfaceType(row[0])] = codeSpans(row[1])
	}
	for typ := range all.Implementations {
		// What stands in brackets behind the names is no code.
		if got, want := documented[typ], all.Names(typ); !slices.Equal(got, want) {
			t.Errorf("%s interfaces: README.md has %q, the catalog %q", typ, got, want)
		}
	}
	if len(documented) != len(all.Implementations) {
		t.Errorf("README.md has %d types of interfaces, the catalog %d", len(documented), len(all.Implementations))
	}
	for _, row := range table(t, readme, "| | |") {
		if row[0] != "hardware types" {
			continue
		}
		got, want := slices.Sorted(slices.Values(codeSpans(row[1]))), slices.Sorted(maps.Keys(all.Types))
		if !slices.Equal(got, want) {
			t.Errorf("hardware types: README.md has %q, the catalog %q", got, want)
		}
		return
	}
	t.Error("README.md names no hardware types")
}

func TestReadmeNamesEveryMethod(t *testing.T) {
	_, section, found := strings.Cut(read(t, "README.md"), "\nRPC methods:\n")
	if !found {
		t.Fatal("README.md has no list of RPC methods")
	}
	section, _, _ = strings.Cut(section, "\nNot yet:")
	documented := slices.Sorted(slices.Values(codeSpans(section)))
	if methods := rpcMethods(t); !slices.Equal(documented, methods) {
		t.Errorf("README.md has %q, conductor/rpc.go %q", documented, methods)
	}
}

// rpcMethods reads the keys of the method table out of its source.
func rpcMethods(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "conductor", "rpc.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, decl := range file.Decls {
		function, ok := decl.(*ast.FuncDecl)
		if !ok || function.Name.Name != "rpcMethods" {
			continue
		}
		ast.Inspect(function, func(n ast.Node) bool {
			pair, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			if key, ok := pair.Key.(*ast.BasicLit); ok {
				if name, err := strconv.Unquote(key.Value); err == nil {
					names = append(names, name)
				}
			}
			return false
		})
	}
	slices.Sort(names)
	return names
}

// documents are the ones that people read, with their folders.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "deploy-examples/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = read(t, name)
		}
	}
	return all
}

// sourcePath is a file or folder of this repository as the documents write it in code spans, from the top of the tree.
var sourcePath = regexp.MustCompile(`^(cmd|conductor|drivers|messaging|store|deploy-examples|docs)/[\w./-]*$`)

func TestFilesThatDocumentsNameExist(t *testing.T) {
	named := 0
	for document, text := range documents(t) {
		for _, span := range codeSpans(text) {
			if !sourcePath.MatchString(span) {
				continue
			}
			named++
			if _, err := os.Stat(filepath.Join(root, span)); err != nil {
				t.Errorf("%s names %s: %v", document, span, err)
			}
		}
	}
	if named == 0 {
		t.Error("no document names a file")
	}
}

var link = regexp.MustCompile(`\]\(([^()\s]+)\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	texts := documents(t)
	for document, text := range texts {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if err := follow(texts, document, m[1]); err != nil {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
}

// follow looks whether the target of a link exists, and its heading too when the link names one.
func follow(texts map[string]string, document, target string) error {
	path, anchor, _ := strings.Cut(target, "#")
	file := document
	if path != "" {
		file = filepath.Join(filepath.Dir(document), path)
	}
	if _, err := os.Stat(filepath.Join(root, file)); err != nil {
		return fmt.Errorf("the link to %s: %w", target, err)
	}
	if anchor != "" && !slices.Contains(anchors(texts[file]), anchor) {
		return fmt.Errorf("the link to %s: there is no such heading", target)
	}
	return nil
}

var notInAnchors = regexp.MustCompile(`[^\w\- ]`)

// anchors are the headings of a document as GitHub makes link targets of them.
func anchors(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			heading = notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			all = append(all, strings.ReplaceAll(heading, " ", "-"))
		}
	}
	return all
}
