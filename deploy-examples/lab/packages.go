package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// need reports a program that is not installed, with the command that installs its package group.
func need(group, program string) error {
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("%s is missing: install it with `make packages`, or deploy-examples/lab/install-packages %s",
			program, group)
	}
	return nil
}

// versions returns the installed versions of Debian packages as one word, fit for a file name.
func versions(ctx context.Context, packages ...string) (string, error) {
	return versionsIn(ctx, "/var/lib/dpkg", packages...)
}

// versionsIn asks the database of packages in a folder.
func versionsIn(ctx context.Context, database string, packages ...string) (string, error) {
	query := exec.CommandContext(ctx, "dpkg-query",
		append([]string{"--admindir=" + database, "-W", "-f=${Package}_${Version}\n"}, packages...)...)
	out, err := query.Output()
	if err != nil {
		return "", fmt.Errorf("asking dpkg for the versions of %s: %w", strings.Join(packages, ", "), err)
	}
	return strings.NewReplacer("\n", "+", "/", "-", ":", "-").Replace(strings.TrimSpace(string(out))), nil
}
