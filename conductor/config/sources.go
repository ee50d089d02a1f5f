package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const project = "ironic"

// Source is a file or a directory given on the command line.
type Source struct {
	Path string
	Dir  bool // --config-dir: every *.conf in Path, sorted by name
}

// Flags are oslo.config's and oslo.log's command line options. A nil pointer was not given.
type Flags struct {
	Sources []Source // --config-file and --config-dir in command line order; later wins
	Debug   *bool
	LogFile *string
	LogDir  *string
}

// Inputs is everything that the settings depend on.
type Inputs struct {
	// Prog is the program name of the default files, such as ironic-conductor; empty stands for that.
	Prog    string
	Flags   Flags
	Environ []string // as os.Environ returns it
	Release Release
	// Root is the file system that holds absolute paths, without their leading slash; nil is the machine's own.
	Root fs.FS
	// Dir is the working directory of relative paths; empty makes them relative to /.
	Dir string
	// Home is the home directory, for ~ and the default files below it; empty means there is none.
	Home string
	// Hostname returns the default of [DEFAULT]host, the machine's fully qualified name.
	Hostname func() (string, error)
	// Address returns the default of [DEFAULT]my_ip; an empty answer means 127.0.0.1.
	Address func() string
}

// file is one configuration file that was read. The section names are normalised.
type file struct {
	path     string
	sections []section
}

// readFiles reads every file that applies, in the order in which later ones win: default files, default directories,
// then the command line. As in oslo.config --config-file replaces only the default files and --config-dir only the
// default directories.
func readFiles(in Inputs, env map[string]string) ([]file, error) {
	r := fileReader{root: in.Root, dir: in.Dir, home: in.Home}
	if r.root == nil {
		r.root = os.DirFS("/")
	}
	isDir := func(s Source) bool { return s.Dir }
	isFile := func(s Source) bool { return !s.Dir }
	sources := slices.Clone(in.Flags.Sources)
	if !slices.ContainsFunc(in.Flags.Sources, isDir) {
		sources = slices.Concat(r.defaults(in, env, "IRONIC_CONFIG_DIR", ".conf.d", true), sources)
	}
	if !slices.ContainsFunc(in.Flags.Sources, isFile) {
		sources = slices.Concat(r.defaults(in, env, "IRONIC_CONFIG_FILE", ".conf", false), sources)
	}
	var files []file
	for _, source := range sources {
		read, err := r.read(source)
		if err != nil {
			return nil, err
		}
		files = append(files, read...)
	}
	return files, nil
}

type fileReader struct {
	root      fs.FS
	dir, home string
}

// defaults finds the files (or directories) used when none are given. The environment variables exist in new releases
// only; they are read for every release because the release is known only after the configuration was read.
func (r fileReader) defaults(in Inputs, env map[string]string, variable, extension string, dir bool) []Source {
	if path := env[variable]; path != "" {
		if dir && !r.exists(path) {
			return nil
		}
		return []Source{{Path: path, Dir: dir}}
	}
	prog := in.Prog
	if prog == "" {
		prog = "ironic-conductor"
	}
	var found []Source
	for _, name := range []string{project, prog} {
		for _, parent := range r.searchPath(env) {
			path := filepath.Join(parent, name+extension)
			if r.exists(path) {
				found = append(found, Source{Path: path, Dir: dir})
				break
			}
		}
	}
	return found
}

func (r fileReader) searchPath(env map[string]string) []string {
	var dirs []string
	if r.home != "" {
		dirs = append(dirs, filepath.Join(r.home, "."+project), r.home)
	}
	dirs = append(dirs, "/etc/"+project, "/etc")
	for _, variable := range []string{"SNAP_COMMON", "SNAP"} {
		if snap := env[variable]; snap != "" {
			dirs = append(dirs, filepath.Join(snap, "etc", project))
		}
	}
	return dirs
}

func (r fileReader) read(source Source) ([]file, error) {
	path := r.absolute(source.Path)
	if !source.Dir {
		f, err := r.readFile(path)
		return []file{f}, err
	}
	entries, err := fs.ReadDir(r.root, rooted(path))
	if err != nil {
		return nil, fmt.Errorf("reading configuration directory %s: %w", path, reason(err))
	}
	var files []file
	for _, entry := range entries {
		// As with a shell's *.conf, hidden files do not count: editors leave them behind.
		if strings.HasPrefix(entry.Name(), ".") || !strings.HasSuffix(entry.Name(), ".conf") {
			continue
		}
		f, err := r.readFile(filepath.Join(path, entry.Name()))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func (r fileReader) readFile(path string) (file, error) {
	text, err := fs.ReadFile(r.root, rooted(path))
	if err != nil {
		return file{}, fmt.Errorf("reading configuration file %s: %w", path, reason(err))
	}
	sections, err := parse(path, text)
	if err != nil {
		return file{}, err
	}
	for i := range sections {
		sections[i].name = groupName(sections[i].name)
	}
	return file{path: path, sections: sections}, nil
}

func (r fileReader) exists(path string) bool {
	_, err := fs.Stat(r.root, rooted(r.absolute(path)))
	return err == nil
}

func (r fileReader) absolute(path string) string {
	if path == "~" || strings.HasPrefix(path, "~/") {
		path = filepath.Join(r.home, path[1:])
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join("/", r.dir, path)
	}
	return filepath.Clean(path)
}

// rooted turns an absolute path into a name of a file system that is rooted at /.
func rooted(path string) string {
	if path == "/" {
		return "."
	}
	return strings.TrimPrefix(path, "/")
}

// reason drops the rootless path that io/fs puts into its errors.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// groupName normalises a section name: all are case-insensitive but DEFAULT.
func groupName(name string) string {
	if name == "DEFAULT" {
		return name
	}
	return strings.ToLower(name)
}

// key names an option.
type key struct{ group, name string }

func (k key) String() string { return "[" + k.group + "]" + k.name }

func (k key) environ() string {
	return "OS_" + strings.ToUpper(k.group) + "__" + strings.ToUpper(k.name)
}

// setting is what a source holds for an option. Only multi-valued options look at more than the last value.
type setting struct {
	values []string
	where  string // file:line, or the name of another source
}

// sources holds the raw values of all places that options come from.
type sources struct {
	flags map[key]setting
	env   map[string]string
	files []fileIndex // in the order in which later ones win
	set   []placed    // every option of every file, in reading order
}

type fileIndex map[key]setting

type placed struct {
	key   key
	where string
}

func readSources(in Inputs) (*sources, error) {
	s := &sources{flags: map[key]setting{}, env: map[string]string{}}
	for _, variable := range in.Environ {
		name, value, _ := strings.Cut(variable, "=")
		s.env[name] = value
	}
	if in.Flags.Debug != nil {
		s.flag("debug", fmt.Sprint(*in.Flags.Debug))
	}
	if in.Flags.LogFile != nil {
		s.flag("log_file", *in.Flags.LogFile)
	}
	if in.Flags.LogDir != nil {
		s.flag("log_dir", *in.Flags.LogDir)
	}
	files, err := readFiles(in, s.env)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		s.index(f)
	}
	return s, nil
}

func (s *sources) flag(name, value string) {
	s.flags[key{"DEFAULT", name}] = setting{values: []string{value}, where: "command line"}
}

func (s *sources) index(f file) {
	index := fileIndex{}
	for _, sec := range f.sections {
		for _, a := range sec.assignments {
			k := key{sec.name, a.key}
			where := fmt.Sprintf("%s:%d", f.path, a.line)
			index[k] = setting{values: append(index[k].values, a.value), where: where}
			s.set = append(s.set, placed{k, where})
		}
	}
	s.files = append(s.files, index)
}

// lookup finds what is set for an option: command line, then environment, then files. Within one file the current name
// wins over the older ones, but a later file wins over an earlier one whatever name it uses.
func (s *sources) lookup(name key, older []key, multi bool) (setting, bool) {
	if found, ok := s.flags[name]; ok {
		return found, true
	}
	if value, ok := s.env[name.environ()]; ok {
		return setting{values: []string{value}, where: "environment " + name.environ()}, true
	}
	names := append([]key{name}, older...)
	var all setting
	for _, index := range slices.Backward(s.files) {
		for _, k := range names {
			found, ok := index[k]
			if !ok {
				continue
			}
			if !multi {
				return found, true
			}
			if all.where == "" {
				all.where = found.where
			}
			all.values = slices.Concat(found.values, all.values)
		}
	}
	return all, all.where != ""
}

// variables returns the names of the environment variables, sorted.
func (s *sources) variables() []string { return slices.Sorted(maps.Keys(s.env)) }
