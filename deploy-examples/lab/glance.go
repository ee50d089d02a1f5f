package lab

import (
	"context"
	"path/filepath"
	"strconv"
)

const (
	glanceAPI    = "/usr/bin/glance-api"
	glanceManage = "/usr/bin/glance-manage"
	// Debian's pipelines; the copy in /etc is readable for glance's own account only.
	glancePaste = "/usr/share/glance-common/glance-api-paste.ini"
)

// StartGlance starts glance-api without authentication, on SQLite, with its images in a folder.
func (l *Lab) StartGlance() error {
	if err := l.prepareGlance(); err != nil {
		return err
	}
	return l.launchGlance()
}

func (l *Lab) prepareGlance() error {
	if err := need("glance", glanceAPI); err != nil {
		return err
	}
	numbers, err := l.ports.reserve(1)
	if err != nil {
		return err
	}
	if _, err := l.folder("glance"); err != nil {
		return err
	}
	l.glancePort = numbers[0]
	l.GlanceURL = "http://" + loopback(l.glancePort)
	return nil
}

func (l *Lab) launchGlance() error {
	dir := filepath.Join(l.Dir, "glance")
	file := filepath.Join(dir, "glance-api.conf")
	if err := l.glanceConf(dir, filepath.Join(dir, "glance.sqlite")).write(file); err != nil {
		return err
	}
	key, err := versions(l.ctx, "python3-glance")
	if err != nil {
		return err
	}
	build := func(ctx context.Context, dir string) error {
		file := filepath.Join(dir, "glance-manage.conf")
		if err := l.glanceConf(dir, filepath.Join(dir, "data")).write(file); err != nil {
			return err
		}
		return runOnce(ctx, dir, Command{
			Name: "glance-manage", Path: glanceManage, Env: cleanEnv(dir),
			Args: []string{"--config-file", file, "db_sync"},
		})
	}
	if err := copyTemplate(l.ctx, "glance-"+key, l.Dir, filepath.Join(dir, "glance.sqlite"), build); err != nil {
		return err
	}
	l.Glance, err = l.StartService(Command{
		Name: "glance-api", Path: glanceAPI, Env: cleanEnv(dir),
		Args:  []string{"--config-file", file},
		Ready: answers(l.GlanceURL+"/", nil),
	})
	return err
}

func (l *Lab) glanceConf(dir, database string) ini {
	store := func(name string) map[string]string {
		return map[string]string{"filesystem_store_datadir": filepath.Join(dir, name)}
	}
	return ini{
		"DEFAULT": {
			"bind_host": "127.0.0.1",
			"bind_port": strconv.Itoa(l.glancePort),
			// Zero serves from the first process.
			"workers":          "0",
			"enabled_backends": "images:file",
		},
		"database":     {"connection": "sqlite:///" + database},
		"paste_deploy": {"flavor": "", "config_file": glancePaste},
		// A caller without authentication has no role, which the newer policies of Debian 13 ask for.
		"oslo_policy":             {"enforce_new_defaults": "false", "enforce_scope": "false"},
		"glance_store":            {"default_backend": "images"},
		"images":                  store("images"),
		"os_glance_tasks_store":   store("tasks"),
		"os_glance_staging_store": store("staging"),
	}
}
