package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"syscall"

	_ "github.com/jackc/pgx/v5/stdlib" // The driver's registration.
)

func (l *Lab) preparePostgreSQL() (*Database, error) {
	programs, err := postgresqlPrograms()
	if err != nil {
		return nil, err
	}
	// PostgreSQL refuses to run as root.
	credential, err := credentialOf("postgres")
	if err != nil {
		return nil, err
	}
	version := filepath.Base(filepath.Dir(programs))
	admin := func(_ string, port int) string {
		return fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable", loopback(port))
	}
	return l.prepareServer(server{
		kind: "postgresql", dialect: "postgresql+psycopg2", driver: "pgx",
		pkg:  "postgresql-" + version,
		user: credential,
		initialise: func(dir string) Command {
			return Command{
				Name: "initdb", Path: filepath.Join(programs, "initdb"), Env: cleanEnv(dir), credential: credential,
				Args: []string{
					"--pgdata=" + filepath.Join(dir, "data"), "--username=postgres", "--auth=trust",
					"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
				},
			}
		},
		serve: func(dir string, port int) Command {
			return Command{
				Name: "postgresql", Path: filepath.Join(programs, "postgres"), Env: cleanEnv(dir), credential: credential,
				Args: []string{
					"-D", filepath.Join(dir, "data"), "-h", "127.0.0.1", "-p", strconv.Itoa(port),
					"-c", "unix_socket_directories=",
					// A lab needs no durability, and little memory.
					"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
					"-c", "shared_buffers=32MB", "-c", "max_connections=200",
				},
				Ready: func(ctx context.Context) error { return ping(ctx, "pgx", admin(dir, port)) },
				// SIGINT does not wait for clients. SIGKILL would leave the server's shared memory behind, which
				// SIGQUIT removes on its way.
				StopSignal: syscall.SIGINT, KillSignal: syscall.SIGQUIT,
			}
		},
		admin: admin,
		accounts: []string{
			fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", apiAccount, accountPassword),
			// Tables belong to the account that makes them; membership opens them to the conductor.
			fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s' IN ROLE %s", conductorAccount, accountPassword, apiAccount),
			fmt.Sprintf("CREATE DATABASE ironic OWNER %s", apiAccount),
		},
	})
}

// postgresqlPrograms finds the folder of the installed server, which Debian names by its version.
func postgresqlPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", fmt.Errorf("looking for PostgreSQL: %w", err)
	}
	if len(found) == 0 {
		return "", need("postgresql", "/usr/lib/postgresql/*/bin/postgres")
	}
	return filepath.Dir(found[len(found)-1]), nil
}
