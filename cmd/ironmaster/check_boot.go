package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/pin/tftp/v3"
)

// loaders are the boot interfaces whose machines begin with TFTP.
var loaders = []string{"pxe", "ipxe", "ilo-pxe", "ilo-ipxe", "irmc-pxe"}

const (
	tftpPort = "69"
	// tftpTimeout is the wait for an answer by TFTP, asked tftpTries times.
	tftpTimeout = time.Second
	tftpTries   = 3
)

// checkTFTP tells who serves the files that machines boot from, when an interface needs them.
func (c *checker) checkTFTP(ctx context.Context) []finding {
	s := c.first
	if !slices.ContainsFunc(s.Default.EnabledBoot, func(name string) bool { return slices.Contains(loaders, name) }) {
		return nil
	}
	var all []finding
	if _, err := os.Stat(s.PXE.TFTPRoot); err != nil {
		all = append(all, finding{levelWarn, fmt.Sprintf("[pxe]tftp_root: %v", err),
			"make it and give it to the conductor's user, or machines cannot boot with pxe and ipxe"})
	}
	if s.Ironmaster.TFTPListen == "" {
		return append(all, askTFTP(net.JoinHostPort(s.PXE.TFTPServer, tftpPort)))
	}
	socket, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", s.Ironmaster.TFTPListen)
	switch {
	case err == nil:
		_ = socket.Close() // Nothing was read.
		return append(all, okay("machines read %s by TFTP at %s", s.PXE.TFTPRoot, s.Ironmaster.TFTPListen))
	case errors.Is(err, syscall.EADDRINUSE):
		if _, err := askHealth(ctx, dialAddress(s.Ironmaster.AdminListen)); err == nil {
			return append(all, okay("machines read %s by TFTP at %s", s.PXE.TFTPRoot, s.Ironmaster.TFTPListen))
		}
		return append(all, finding{levelFail, fmt.Sprintf("another program listens at %s (UDP)", s.Ironmaster.TFTPListen),
			"end it, or leave TFTP to it and take out [ironmaster]tftp_listen"})
	case errors.Is(err, syscall.EACCES):
		return append(all, finding{levelFail, err.Error(),
			"allow it: AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit"})
	}
	return append(all, finding{levelFail, err.Error(), "set [ironmaster]tftp_listen to an address of this machine"})
}

// askTFTP tells whether a server answers. That the file is not there is an answer.
func askTFTP(addr string) finding {
	client, err := tftp.NewClient(addr)
	if err == nil {
		client.SetTimeout(tftpTimeout)
		client.SetRetries(tftpTries - 1)
		_, err = client.Receive("ironmaster-check", "octet")
	}
	var silent net.Error
	if errors.As(err, &silent) {
		return finding{levelWarn, fmt.Sprintf("no TFTP server answers at %s, where machines look for [pxe]tftp_root", addr),
			"start one over that folder, or have this conductor serve it with [ironmaster]tftp_listen = :69"}
	}
	return okay("another server answers by TFTP at %s", addr)
}
