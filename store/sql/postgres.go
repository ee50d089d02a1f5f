package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/ironmaster/ironmaster/store/tcp"
)

// postgresDialect speaks to PostgreSQL.
type postgresDialect struct{}

// postgresOptions are libpq's that this driver knows under the same name; postgresIgnored are those that tune libpq or
// Python, or that this driver always does.
var (
	postgresOptions = []string{"sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslsni", "connect_timeout",
		"application_name", "options", "target_session_attrs", "passfile", "service", "servicefile", "krbsrvname"}
	postgresIgnored = []string{"client_encoding", "keepalives", "keepalives_idle", "keepalives_interval",
		"keepalives_count", "tcp_user_timeout", "gssencmode", "fallback_application_name", "load_balance_hosts"}
)

// openPostgreSQL prepares a pool for PostgreSQL. Several hosts can be given as libpq takes them: host=a,b and port=1,2 in
// the query, or SQLAlchemy's host=a:1&host=b:2.
func openPostgreSQL(u databaseURL) (*sql.DB, error) {
	hosts, ports := splitHosts(u)
	settings := map[string]string{
		"host": strings.Join(hosts, ","), "port": strings.Join(ports, ","),
		"user": u.user, "password": u.password, "dbname": u.database,
	}
	for name := range u.query {
		switch {
		case name == "host" || name == "port":
		case name == "dbname" || name == "user" || name == "password" || slices.Contains(postgresOptions, name):
			settings[name] = u.query.Get(name)
		case !slices.Contains(postgresIgnored, name):
			return nil, fmt.Errorf("option %s: not known for PostgreSQL", name)
		}
	}
	var dsn strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if value := settings[name]; value != "" {
			fmt.Fprintf(&dsn, "%s='%s' ", name, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value))
		}
	}
	cfg, err := pgx.ParseConfig(dsn.String())
	if err != nil {
		return nil, err
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	cfg.DialFunc = tcp.Dialer(cfg.ConnectTimeout).DialContext
	cfg.RuntimeParams["timezone"] = "UTC"
	return stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(boundLockWait)), nil
}

// boundLockWait does for PostgreSQL what openMySQL does with parameters. PgBouncer refuses this one when it comes with the
// connection.
func boundLockWait(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, fmt.Sprintf("SET lock_timeout = %d", lockWait.Milliseconds()))
	return err
}

// splitHosts gathers the hosts and ports of a URL, one port for each host.
func splitHosts(u databaseURL) (hosts, ports []string) {
	given := u.query["host"]
	if len(given) == 0 {
		return []string{orDefault(u.host, "localhost")}, []string{orDefault(u.port, "5432")}
	}
	for _, item := range given {
		hosts = append(hosts, strings.Split(item, ",")...)
	}
	for _, item := range u.query["port"] {
		ports = append(ports, strings.Split(item, ",")...)
	}
	for i, host := range hosts {
		port := "5432"
		if i < len(ports) {
			port = ports[i]
		} else if len(ports) == 1 {
			port = ports[0]
		}
		if parsed, err := url.Parse("//" + host); err == nil && !strings.HasPrefix(host, "/") && parsed.Port() != "" {
			host, port = parsed.Hostname(), parsed.Port()
		}
		hosts[i] = host
		if i < len(ports) {
			ports[i] = port
		} else {
			ports = append(ports, port)
		}
	}
	return hosts, ports
}

func (postgresDialect) name() string             { return "postgresql" }
func (postgresDialect) quote(id string) string   { return `"` + id + `"` }
func (postgresDialect) numbered() bool           { return true }
func (postgresDialect) forUpdate() string        { return " FOR UPDATE" }
func (postgresDialect) returning() bool          { return true }
func (postgresDialect) refusesNUL() bool         { return true }
func (postgresDialect) precision() time.Duration { return time.Microsecond }
func (postgresDialect) time(t time.Time) any     { return t }

func (postgresDialect) classify(err error) fault {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		var connect *pgconn.ConnectError
		if errors.As(err, &connect) || pgconn.SafeToRetry(err) || lostConnection(err) {
			return fault{kind: faultAway}
		}
		return fault{}
	}
	switch e.Code {
	case "23505":
		return fault{kind: faultDuplicate, columns: constraintColumns(e.ConstraintName)}
	case "23503":
		return fault{kind: faultReference}
	case "22001":
		return fault{kind: faultTooLong}
	case "40P01", "40001":
		return fault{kind: faultConflict}
	case "57P01", "57P02", "57P03", // shutdown, crash, starting
		"25006",          // read only: a failover is under way, or behind us on another server
		"55P03", "57014", // somebody keeps a lock, the server's own statement_timeout
		"58030": // the disk fails
		return fault{kind: faultAway}
	}
	// Connection exceptions; insufficient resources: full disk, out of memory, too many connections.
	if strings.HasPrefix(e.Code, "08") || strings.HasPrefix(e.Code, "53") {
		return fault{kind: faultAway}
	}
	return fault{}
}

func (postgresDialect) columns(ctx context.Context, db *sql.DB) ([]column, error) {
	return readColumns(ctx, db, `SELECT table_name, column_name,
		CASE WHEN character_maximum_length IS NULL THEN '' ELSE 'varchar(' || character_maximum_length || ')' END, 0, ''
		FROM information_schema.columns WHERE table_schema = ANY (current_schemas(false))`)
}
