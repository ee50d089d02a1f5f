package lab

import (
	"context"
	"database/sql"
	"fmt"
	"os/user"
	"path/filepath"
	"strconv"

	_ "github.com/go-sql-driver/mysql" // The driver's registration.
)

const mariadbd = "/usr/sbin/mariadbd"

func (l *Lab) prepareMariaDB() (*Database, error) {
	if err := need("mariadb", mariadbd); err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("finding out who runs MariaDB: %w", err)
	}
	socket := func(dir string) string { return filepath.Join(dir, "socket") }
	admin := func(dir string, _ int) string { return "root@unix(" + socket(dir) + ")/mysql" }
	return l.prepareServer(server{
		kind: "mariadb", dialect: "mysql+pymysql", driver: "mysql",
		pkg: "mariadb-server-core",
		initialise: func(dir string) Command {
			return Command{
				Name: "mariadb-install-db", Path: "/usr/bin/mariadb-install-db", Env: cleanEnv(dir),
				Args: []string{
					"--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--user=" + me.Username,
					"--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M",
				},
			}
		},
		serve: func(dir string, port int) Command {
			return Command{
				Name: "mariadb", Path: mariadbd, Env: cleanEnv(dir),
				Args: []string{
					"--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--user=" + me.Username,
					"--socket=" + socket(dir), "--pid-file=" + filepath.Join(dir, "server.pid"),
					"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(port), "--skip-name-resolve",
					// A lab has to survive the end of the server, not of the machine, and needs little memory.
					"--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync",
					"--innodb-log-file-size=8M", "--innodb-buffer-pool-size=64M", "--performance-schema=OFF",
					// Each process of ironic may open 55 connections; 151, the default, is too few for a cluster.
					"--max-connections=500",
				},
				Ready: func(ctx context.Context) error { return ping(ctx, "mysql", admin(dir, port)) },
			}
		},
		admin: admin,
		accounts: []string{
			"CREATE DATABASE ironic CHARACTER SET utf8mb3",
			fmt.Sprintf("CREATE USER %s IDENTIFIED BY '%s'", apiAccount, accountPassword),
			fmt.Sprintf("CREATE USER %s IDENTIFIED BY '%s'", conductorAccount, accountPassword),
			fmt.Sprintf("GRANT ALL ON ironic.* TO %s, %s", apiAccount, conductorAccount),
		},
	})
}

// ping is a readiness check: the database server answers.
func ping(ctx context.Context, driver, name string) error {
	connection, err := sql.Open(driver, name)
	if err != nil {
		return err
	}
	defer connection.Close()
	return connection.PingContext(ctx)
}
