package lab

import (
	"context"
	"fmt"
	"os/user"
	"path/filepath"
	"strconv"
)

const keystoneManage = "/usr/bin/keystone-manage"

// keystoneServer serves Keystone on Python's own server, which closes each connection: no reader sees one reset.
const keystoneServer = `import sys
from wsgiref.simple_server import make_server
from keystone.server.wsgi import initialize_public_application
port = int(sys.argv.pop())
make_server("127.0.0.1", port, initialize_public_application()).serve_forever()
`

// KeystonePassword is that of the user admin, who has the role admin in the project admin; both are in the domain default.
const KeystonePassword = "lab"

// prepareKeystone chooses Keystone's address.
func (l *Lab) prepareKeystone() error {
	if err := need("keystone", keystoneManage); err != nil {
		return err
	}
	numbers, err := l.ports.reserve(1)
	if err != nil {
		return err
	}
	l.keystonePort = numbers[0]
	l.KeystoneURL = "http://" + loopback(l.keystonePort)
	return nil
}

// launchKeystone makes Keystone's keys and database and starts it.
func (l *Lab) launchKeystone() error {
	dir, err := l.folder("keystone")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "keystone.conf")
	if err := keystoneConf(dir, filepath.Join(dir, "keystone.sqlite")).write(file); err != nil {
		return err
	}
	if err := l.makeKeystone(l.ctx, dir, file); err != nil {
		return err
	}
	l.Keystone, err = l.StartService(Command{
		Name: "keystone", Path: "/usr/bin/python3", Env: cleanEnv(dir, "OS_KEYSTONE_CONFIG_FILES="+file),
		Args:  []string{"-c", keystoneServer, strconv.Itoa(l.keystonePort)},
		Ready: answers(l.KeystoneURL+"/v3", nil),
	})
	return err
}

func keystoneConf(dir, database string) ini {
	return ini{
		// One writer waits for another longer than sqlite3's 5 s: tests make several users at a time, on busy machines.
		"database":        {"connection": "sqlite:///" + database + "?timeout=60"},
		"fernet_tokens":   {"key_repository": filepath.Join(dir, "fernet")},
		"fernet_receipts": {"key_repository": filepath.Join(dir, "fernet")},
		"credential":      {"key_repository": filepath.Join(dir, "credential")},
		// Four rounds instead of twelve save processor time; nothing here is secret.
		"identity": {"password_hash_rounds": "4"},
	}
}

// makeKeystone makes the database, the keys that tokens are encrypted with, and the user admin.
func (l *Lab) makeKeystone(ctx context.Context, dir, file string) error {
	if err := l.makeKeystoneSchema(ctx, dir); err != nil {
		return err
	}
	me, err := user.Current()
	if err != nil {
		return fmt.Errorf("setting up Keystone: %w", err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		return fmt.Errorf("setting up Keystone: %w", err)
	}
	keys := []string{"--keystone-user", me.Username, "--keystone-group", group.Name}
	for _, args := range [][]string{
		append([]string{"fernet_setup"}, keys...), append([]string{"credential_setup"}, keys...),
		{"bootstrap", "--bootstrap-password", KeystonePassword, "--bootstrap-region-id", "lab",
			"--bootstrap-internal-url", l.KeystoneURL, "--bootstrap-public-url", l.KeystoneURL},
	} {
		if err := manageKeystone(ctx, dir, file, args...); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) makeKeystoneSchema(ctx context.Context, dir string) error {
	key, err := versions(ctx, "python3-keystone")
	if err != nil {
		return err
	}
	return copyTemplate(ctx, "keystone-"+key, l.Dir, filepath.Join(dir, "keystone.sqlite"), func(ctx context.Context, dir string) error {
		file := filepath.Join(dir, "keystone-manage.conf")
		if err := keystoneConf(dir, filepath.Join(dir, "data")).write(file); err != nil {
			return err
		}
		return manageKeystone(ctx, dir, file, "db_sync")
	})
}

func manageKeystone(ctx context.Context, dir, file string, args ...string) error {
	return runOnce(ctx, dir, Command{Name: "keystone-manage", Path: keystoneManage, Env: cleanEnv(dir),
		Args: append([]string{"--config-file", file}, args...)})
}

// keystoneLogin has callers of JSON-RPC log in to Keystone, and the conductor look at their tokens.
func (l *Lab) keystoneLogin() ini {
	login := func() map[string]string {
		return map[string]string{"auth_type": "password", "auth_url": l.KeystoneURL, "username": "admin",
			"password": KeystonePassword, "project_name": "admin", "user_domain_id": "default", "project_domain_id": "default"}
	}
	conf := ini{"json_rpc": login(), "keystone_authtoken": login()}
	conf["json_rpc"]["auth_strategy"] = "keystone"
	return conf
}
