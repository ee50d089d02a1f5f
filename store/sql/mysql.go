package sql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/ironmaster/ironmaster/store/tcp"
)

// mysqlDialect speaks to MariaDB and MySQL.
type mysqlDialect struct{}

const (
	// connectTimeout bounds one attempt to connect to a database server.
	connectTimeout = 10 * time.Second
	// lockWait bounds how long one statement waits for a lock of somebody else.
	lockWait = 15 * time.Second
)

// mysqlIgnored are options of Python's drivers that mean nothing here: they choose Python types or encodings, or what
// this driver always does.
var mysqlIgnored = []string{"use_unicode", "binary_prefix", "autocommit", "client_flag", "program_name", "local_infile",
	"max_allowed_packet", "plugin", "ssl_cipher"}

// openMySQL prepares a pool for MariaDB or MySQL. Row counts are those of matched rows: a guarded UPDATE that repeats a
// value within one second would otherwise seem to have lost its lock.
func openMySQL(u databaseURL, sqlMode string) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = u.user, u.password, u.database
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(orDefault(u.host, "localhost"), orDefault(u.port, "3306"))
	cfg.Loc, cfg.ParseTime = time.UTC, true
	cfg.ClientFoundRows, cfg.InterpolateParams = true, true
	cfg.Timeout = connectTimeout
	cfg.DialFunc = tcp.Dialer(connectTimeout).DialContext
	cfg.MaxAllowedPacket = 0 // as the server says
	cfg.Logger = &mysql.NopLogger{}
	// A statement that waits for a lock gives up on the server before it is given up here, so that it cannot take effect
	// behind the back of its own repetition.
	wait := strconv.Itoa(int(lockWait.Seconds()))
	cfg.Params = map[string]string{"time_zone": "'+00:00'", "innodb_lock_wait_timeout": wait, "lock_wait_timeout": wait}
	charset := "utf8mb4"
	for name := range u.query {
		value := u.query.Get(name)
		var err error
		switch {
		case name == "charset":
			charset, err = mysqlCharset(value)
		case name == "unix_socket":
			cfg.Net, cfg.Addr = "unix", value
		case name == "sql_mode":
			sqlMode = value
		case name == "connect_timeout":
			cfg.Timeout, err = secondsOption(value)
		case name == "read_timeout":
			cfg.ReadTimeout, err = secondsOption(value)
		case name == "write_timeout":
			cfg.WriteTimeout, err = secondsOption(value)
		case strings.HasPrefix(name, "ssl_") && name != "ssl_cipher":
			// mysqlTLS reads these together.
		case !slices.Contains(mysqlIgnored, name):
			err = errors.New("not known for MySQL")
		}
		if err != nil {
			return nil, fmt.Errorf("option %s: %w", name, err)
		}
	}
	if sqlMode != "" {
		cfg.Params["sql_mode"] = "'" + strings.ReplaceAll(sqlMode, "'", "''") + "'"
	}
	var err error
	if cfg.TLS, err = mysqlTLS(u); err != nil {
		return nil, err
	}
	if err := cfg.Apply(mysql.Charset(charset, "")); err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func mysqlCharset(name string) (string, error) {
	switch name {
	case "utf8", "utf8mb3", "utf8mb4":
		return name, nil
	}
	return "", fmt.Errorf("%q is not supported, only utf8 and utf8mb4 are", name)
}

func secondsOption(text string) (time.Duration, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no number of seconds", text)
	}
	return time.Duration(n) * time.Second, nil
}

// mysqlTLS builds the encryption that PyMySQL's ssl_ options ask for; nil is none. Without a CA nothing is verified
// unless ssl_verify_cert asks for it, as PyMySQL has it.
func mysqlTLS(u databaseURL) (*tls.Config, error) {
	flags := map[string]bool{}
	asked := false
	for name := range u.query {
		value := u.query.Get(name)
		switch name {
		case "ssl_ca", "ssl_cert", "ssl_key":
			asked = asked || value != ""
		case "ssl_verify_cert", "ssl_verify_identity", "ssl_check_hostname", "ssl_disabled":
			flag, err := flagOption(value)
			if err != nil {
				return nil, fmt.Errorf("option %s: %w", name, err)
			}
			flags[name] = flag
			asked = asked || flag && name != "ssl_disabled"
		default:
			if strings.HasPrefix(name, "ssl_") && name != "ssl_cipher" {
				return nil, fmt.Errorf("option %s: not known for MySQL", name)
			}
		}
	}
	if !asked || flags["ssl_disabled"] {
		return nil, nil
	}
	cfg := &tls.Config{ServerName: orDefault(u.host, "localhost"), MinVersion: tls.VersionTLS12}
	ca := u.query.Get("ssl_ca")
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("option ssl_ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("option ssl_ca: %s holds no certificate", ca)
		}
	}
	if cert, key := u.query.Get("ssl_cert"), u.query.Get("ssl_key"); cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, orDefault(key, cert))
		if err != nil {
			return nil, fmt.Errorf("options ssl_cert and ssl_key: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	verify := ca != "" || flags["ssl_verify_identity"]
	if v, given := flags["ssl_verify_cert"]; given {
		verify = v
	}
	name := true
	for _, option := range []string{"ssl_check_hostname", "ssl_verify_identity"} {
		if v, given := flags[option]; given {
			name = v
		}
	}
	setVerification(cfg, verify, name)
	return cfg, nil
}

// setVerification turns off what is not to be checked. crypto/tls has no switch for the chain without the name.
func setVerification(cfg *tls.Config, chain, name bool) {
	if chain && name {
		return
	}
	cfg.InsecureSkipVerify = true
	if !chain {
		return
	}
	roots := cfg.RootCAs
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		intermediates := x509.NewCertPool()
		for _, c := range state.PeerCertificates[1:] {
			intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
		return err
	}
}

func flagOption(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "1", "true", "yes", "on", "required":
		return true, nil
	case "0", "false", "no", "off", "none", "":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", text)
}

func (mysqlDialect) name() string             { return "mysql" }
func (mysqlDialect) quote(id string) string   { return "`" + id + "`" }
func (mysqlDialect) numbered() bool           { return false }
func (mysqlDialect) forUpdate() string        { return " FOR UPDATE" }
func (mysqlDialect) returning() bool          { return false }
func (mysqlDialect) refusesNUL() bool         { return false }
func (mysqlDialect) precision() time.Duration { return time.Second }
func (mysqlDialect) time(t time.Time) any     { return t.Format(time.DateTime) }

func (mysqlDialect) classify(err error) fault {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		switch {
		case errors.Is(err, mysql.ErrPktTooLarge):
			return fault{kind: faultTooLong}
		case errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, mysql.ErrMalformPkt), errors.Is(err, mysql.ErrPktSync),
			lostConnection(err):
			return fault{kind: faultAway}
		}
		return fault{}
	}
	switch e.Number {
	case 1062, 1586:
		return fault{kind: faultDuplicate, columns: mysqlKey(e.Message)}
	case 1451, 1452, 1216, 1217:
		return fault{kind: faultReference}
	case 1406, 1153, 1301:
		return fault{kind: faultTooLong}
	case 1213, 1020, 3101: // deadlock (Galera's certification failures too), snapshot conflict, group replication's certification
		return fault{kind: faultConflict}
	case 1040, 1203, 1226, // too many connections
		1053, 1927, 1152, 1159, 1160, 1161, 1184, 2006, 2013, // shutdown, killed, aborted, network
		1047, 3100, // Galera: not yet prepared; group replication: not a member
		1290, 1792, 1836, // read only: a failover is under way, or behind us on another server
		1021, 1114, 1041, // full disk, full table, out of memory
		1205: // somebody keeps a lock
		return fault{kind: faultAway}
	}
	return fault{}
}

// mysqlKey reads "Duplicate entry 'x' for key 'uniq_nodes0name'".
func mysqlKey(message string) []string {
	i := strings.LastIndex(message, "for key '")
	if i < 0 {
		return nil
	}
	key, _, _ := strings.Cut(message[i+len("for key '"):], "'")
	return constraintColumns(key)
}

func (mysqlDialect) columns(ctx context.Context, db *sql.DB) ([]column, error) {
	return readColumns(ctx, db, `SELECT table_name, column_name, column_type, COALESCE(character_octet_length, 0),
		COALESCE(character_set_name, '') FROM information_schema.columns WHERE table_schema = DATABASE()`)
}
