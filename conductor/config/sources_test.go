package config

import (
	"strings"
	"testing"
	"testing/fstest"
)

// group makes a file that sets conductor_group, by which a test sees whose value won.
func group(name string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("[conductor]\nconductor_group = " + name + "\n")}
}

func TestWhichSourceWins(t *testing.T) {
	files := func(paths ...string) fstest.MapFS {
		fsys := fstest.MapFS{}
		for _, path := range paths {
			fsys[path] = group(path)
		}
		return fsys
	}
	file := func(path string) Source { return Source{Path: path} }
	dir := func(path string) Source { return Source{Path: path, Dir: true} }
	for _, c := range []struct {
		name    string
		root    fstest.MapFS
		sources []Source
		environ []string
		want    string
	}{
		{"nothing at all", files(), nil, nil, ""},
		{"the first place only", files("etc/ironic/ironic.conf", "home/.ironic/ironic.conf", "etc/ironic.conf"), nil, nil, "home/.ironic/ironic.conf"},
		{"the program's file after the project's", files("home/ironic.conf", "etc/ironic-conductor.conf"), nil, nil, "etc/ironic-conductor.conf"},
		{"directories after files", files("etc/ironic/ironic.conf.d/a.conf", "etc/ironic/ironic-conductor.conf"), nil, nil, "etc/ironic/ironic.conf.d/a.conf"},
		{"the last name of a directory", files("etc/ironic/ironic.conf.d/b.conf", "etc/ironic/ironic.conf.d/a.conf"), nil, nil, "etc/ironic/ironic.conf.d/b.conf"},
		{"no hidden or other files", files("d/a.conf", "d/.z.conf", "d/z.conf~"), []Source{dir("/d")}, nil, "d/a.conf"},
		{"a given file after the default directory", files("f", "etc/ironic/ironic.conf.d/a.conf"), []Source{file("/f")}, nil, "f"},
		{"a given file instead of the default one", files("g", "etc/ironic/ironic.conf"), []Source{file("g")}, nil, "g"},
		{"a given directory keeps default files", files("d/readme", "etc/ironic/ironic.conf", "etc/ironic/ironic.conf.d/a.conf"), []Source{dir("/d")}, nil, "etc/ironic/ironic.conf"},
		{"command line order", files("f", "d/a.conf"), []Source{dir("/d"), file("/f")}, nil, "f"},
		{"command line order, turned", files("f", "d/a.conf"), []Source{file("/f"), dir("/d")}, nil, "d/a.conf"},
		{"home of ~", files("home/x.conf"), []Source{file("~/x.conf")}, nil, "home/x.conf"},
		{"IRONIC_CONFIG_FILE", files("f", "etc/ironic/ironic.conf"), nil, []string{"IRONIC_CONFIG_FILE=/f"}, "f"},
		{"IRONIC_CONFIG_DIR", files("d/a.conf", "etc/ironic/ironic.conf.d/a.conf"), nil, []string{"IRONIC_CONFIG_DIR=/d"}, "d/a.conf"},
		{"a missing IRONIC_CONFIG_DIR", files("etc/ironic/ironic.conf"), nil, []string{"IRONIC_CONFIG_DIR=/d"}, "etc/ironic/ironic.conf"},
		{"a snap", files("snap/etc/ironic/ironic.conf"), nil, []string{"SNAP=/snap"}, "snap/etc/ironic/ironic.conf"},
		{"the environment", files("etc/ironic/ironic.conf"), nil, []string{"OS_CONDUCTOR__CONDUCTOR_GROUP=env"}, "env"},
		{"an empty variable", files("etc/ironic/ironic.conf"), nil, []string{"OS_CONDUCTOR__CONDUCTOR_GROUP="}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mustLoad(t, "", func(in *Inputs) {
				in.Root, in.Home, in.Environ, in.Flags.Sources = c.root, "/home", c.environ, c.sources
			})
			if s.Conductor.Group != c.want {
				t.Errorf("read %q, want %q", s.Conductor.Group, c.want)
			}
		})
	}
}

func TestMissingSourcesAreErrors(t *testing.T) {
	for _, c := range []struct {
		source  Source
		environ string
		want    string
	}{
		{Source{Path: "/gone.conf"}, "", "reading configuration file /gone.conf: file does not exist"},
		{Source{Path: "gone", Dir: true}, "", "reading configuration directory /work/gone: file does not exist"},
		{Source{Path: "/etc", Dir: true}, "IRONIC_CONFIG_FILE=/gone.conf", "reading configuration file /gone.conf"},
	} {
		_, _, err := load(t, "", func(in *Inputs) {
			in.Dir, in.Flags.Sources, in.Environ = "/work", []Source{c.source}, []string{c.environ}
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.source, err, c.want)
		}
	}
}

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	yes, file := true, "$state_path/log"
	s := mustLoad(t, "[DEFAULT]\ndebug = no\nlogdir = /var/log", func(in *Inputs) {
		in.Environ = []string{"OS_DEFAULT__DEBUG=no", "OS_DEFAULT__LOG_FILE=other"}
		in.Flags.Debug, in.Flags.LogFile = &yes, &file
	})
	if !s.Log.Debug || s.Log.File != "/var/lib/ironic/log" || s.Log.Dir != "/var/log" {
		t.Errorf("got %+v", s.Log)
	}
}

func TestOlderNames(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	root := fstest.MapFS{
		"a": file("[database]\nconnection = new\n[DEFAULT]\nsql_connection = old\n[oslo_messaging_notifications]\ndriver = one"),
		"b": file("[DATABASE]\nsql_connection = later\n[DEFAULT]\nnotification_driver = two"),
	}
	for _, c := range []struct {
		sources []Source
		want    string
		drivers string
	}{
		{[]Source{{Path: "/a"}}, "new", "one"},
		{[]Source{{Path: "/a"}, {Path: "/b"}}, "later", "one two"},
	} {
		s := mustLoad(t, "", func(in *Inputs) { in.Root, in.Flags.Sources = root, c.sources })
		if drivers := strings.Join(s.Notifications.Drivers, " "); s.Database.Connection != c.want || drivers != c.drivers {
			t.Errorf("%v: connection %q, drivers %q", c.sources, s.Database.Connection, drivers)
		}
	}
}
