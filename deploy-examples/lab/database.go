package lab

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Database is a database that holds ironic's schema, fresh from ironic-dbsync, and no rows.
type Database struct {
	// Service is the database server; nil for SQLite.
	*Service
	Kind string
	// URL and ConductorURL are SQLAlchemy URLs of the same database: with the account for ironic-api, and with that
	// for the conductor, so that the server's log tells whose statement is whose. With SQLite they are the same.
	URL, ConductorURL string

	command  Command
	template func(ctx context.Context) error
}

// The accounts in MariaDB and PostgreSQL.
const (
	apiAccount       = "ironic_api"
	conductorAccount = "ironic_conductor"
	accountPassword  = "lab"
)

// StartDatabase starts a database of a kind: sqlite, mariadb or postgresql.
func (l *Lab) StartDatabase(kind string) (*Database, error) {
	database, err := l.prepareDatabase(kind)
	if err != nil {
		return nil, err
	}
	return database, database.launch(l)
}

// prepareDatabase settles everything that other services need to know about the database.
func (l *Lab) prepareDatabase(kind string) (*Database, error) {
	if err := l.system.need("ironic", ironicDBSync); err != nil {
		return nil, err
	}
	var err error
	switch kind {
	case "sqlite":
		l.Database, err = l.prepareSQLite()
	case "mariadb":
		l.Database, err = l.prepareMariaDB()
	case "postgresql":
		l.Database, err = l.preparePostgreSQL()
	default:
		err = fmt.Errorf("no database of kind %q: choose sqlite, mariadb or postgresql", kind)
	}
	return l.Database, err
}

// OpenMariaDB connects to a MariaDB of the lab, whose address is written in SQLAlchemy's syntax.
func (d *Database) OpenMariaDB() (*sql.DB, error) {
	address, found := strings.CutPrefix(d.URL, "mysql+pymysql://")
	if !found {
		return nil, fmt.Errorf("opening the database: it is no MariaDB but a %s", d.Kind)
	}
	account, place, _ := strings.Cut(address, "@")
	server, name, _ := strings.Cut(place, "/")
	db, err := sql.Open("mysql", account+"@tcp("+server+")/"+name+"?interpolateParams=true")
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	return db, nil
}

func (d *Database) launch(l *Lab) error {
	if err := d.template(l.ctx); err != nil {
		return err
	}
	if d.command.Path == "" {
		return nil
	}
	var err error
	d.Service, err = l.StartService(d.command)
	return err
}

func (l *Lab) prepareSQLite() (*Database, error) {
	file := filepath.Join(l.Dir, "ironic.sqlite")
	url := "sqlite:///" + file
	return &Database{
		Kind: "sqlite", URL: url, ConductorURL: url,
		template: func(ctx context.Context) error {
			key, err := l.system.versions(ctx, "python3-ironic")
			if err != nil {
				return err
			}
			return copyTemplate(ctx, "sqlite-"+key, l.Dir, file, func(ctx context.Context, dir string) error {
				return l.system.createSchema(ctx, dir, "sqlite:///"+filepath.Join(dir, "data"))
			})
		},
	}, nil
}

// server is what differs between database servers when their data folder is made.
type server struct {
	kind, dialect, driver string
	// pkg is the Debian package of the server.
	pkg        string
	initialise func(dir string) Command
	serve      func(dir string, port int) Command
	// admin names the database server in the syntax of the Go driver.
	admin    func(dir string, port int) string
	accounts []string
	user     *syscall.Credential
}

func (l *Lab) prepareServer(s server) (*Database, error) {
	numbers, err := l.ports.reserve(1)
	if err != nil {
		return nil, err
	}
	dir, err := l.folder(s.kind)
	if err != nil {
		return nil, err
	}
	if err := s.own(dir); err != nil {
		return nil, err
	}
	return &Database{
		Kind:         s.kind,
		URL:          s.url(apiAccount, numbers[0]),
		ConductorURL: s.url(conductorAccount, numbers[0]),
		command:      s.serve(dir, numbers[0]),
		template: func(ctx context.Context) error {
			schema, err := l.system.versions(ctx, "python3-ironic")
			if err != nil {
				return err
			}
			key, err := versions(ctx, s.pkg)
			if err != nil {
				return err
			}
			return copyTemplate(ctx, s.kind+"-"+key+"+"+schema, l.Dir, filepath.Join(dir, "data"),
				func(ctx context.Context, dir string) error { return s.build(ctx, l.system, dir, numbers[0]) })
		},
	}, nil
}

func (s server) url(account string, port int) string {
	return fmt.Sprintf("%s://%s:%s@%s/ironic", s.dialect, account, accountPassword, loopback(port))
}

// build makes a data folder with the accounts and the schema of ironic's release.
func (s server) build(ctx context.Context, ironic system, dir string, port int) error {
	if err := s.own(dir); err != nil {
		return err
	}
	if err := runOnce(ctx, dir, s.initialise(dir)); err != nil {
		return err
	}
	service, err := StartService(ctx, dir, s.serve(dir, port))
	if err != nil {
		return err
	}
	defer service.Kill()
	if err := s.createAccounts(ctx, dir, port); err != nil {
		return err
	}
	if err := ironic.createSchema(ctx, dir, s.url(apiAccount, port)); err != nil {
		return err
	}
	return service.Stop()
}

func (s server) createAccounts(ctx context.Context, dir string, port int) error {
	admin, err := sql.Open(s.driver, s.admin(dir, port))
	if err != nil {
		return fmt.Errorf("creating accounts: %w", err)
	}
	defer admin.Close()
	for _, statement := range s.accounts {
		if _, err := admin.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("creating accounts: %s: %w", statement, err)
		}
	}
	return nil
}

// own gives a folder to the user that the server runs as.
func (s server) own(dir string) error {
	if s.user == nil {
		return nil
	}
	return os.Chown(dir, int(s.user.Uid), int(s.user.Gid))
}

// credentialOf is for servers that refuse to run as root.
func credentialOf(account string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	entry, err := user.Lookup(account)
	if err != nil {
		return nil, fmt.Errorf("looking up the account that the server runs as: %w", err)
	}
	uid, err := strconv.ParseUint(entry.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the user id of %s: %w", account, err)
	}
	gid, err := strconv.ParseUint(entry.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the group id of %s: %w", account, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
