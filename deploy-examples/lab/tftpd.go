package lab

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pin/tftp/v3"
)

// StartTFTPD starts Debian's tftpd-hpa over a folder, and returns it with its address. It insists on root, so that who is not needs
// sudo without a password.
func (l *Lab) StartTFTPD(root string) (*Service, string, error) {
	const program = "/usr/sbin/in.tftpd"
	if err := need("tftp", program); err != nil {
		return nil, "", err
	}
	ports, err := l.ports.reserve(1)
	if err != nil {
		return nil, "", err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	command := Command{Name: "tftpd", Path: program, Ready: func(ctx context.Context) error { return AnswersTFTP(ctx, addr) },
		Args: []string{"--listen", "--foreground", "--address", addr, "--user", "root", "--secure", root}}
	if os.Geteuid() != 0 {
		command.Path, command.Args = "/usr/bin/sudo", append([]string{"-n", program}, command.Args...)
	}
	service, err := l.StartService(command)
	return service, addr, err
}

// AnswersTFTP tells whether a server of TFTP answers: that a file is not there is an answer.
func AnswersTFTP(_ context.Context, addr string) error {
	client, err := tftp.NewClient(addr)
	if err != nil {
		return err
	}
	client.SetTimeout(time.Second)
	client.SetRetries(1)
	_, err = client.Receive("nothing of this name", "octet")
	var silence net.Error
	if errors.As(err, &silence) || err != nil && strings.Contains(err.Error(), "refused") {
		return err
	}
	return nil
}
