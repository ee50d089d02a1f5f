package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pin/tftp/v3"
	"golang.org/x/sync/errgroup"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

const (
	// tftpBlock is what fits into a packet of Ethernet, and what firmware asks for.
	tftpBlock = 1428
	// tftpFile is as large as a small kernel.
	tftpFile = 4 << 20
	tftpName = "deploy_kernel"
	// tftpRounds is how often the file is read in all, by however many readers.
	tftpRounds = 64
)

// tftpReaders are how many machines read at any time.
var tftpReaders = []int{1, 64}

// measureTFTP takes how fast boot files go out. Beside Python's conductor that is the work of tftpd-hpa.
func measureTFTP(ctx context.Context, b *bench, s *subject) error {
	root := filepath.Join(b.lab.Dir, "tftpboot")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, tftpName), make([]byte, tftpFile), 0o644); err != nil {
		return err
	}
	addr, err := s.startTFTP(ctx, root)
	if err != nil {
		return err
	}
	if err := readByTFTP(addr); err != nil {
		return err
	}
	for _, n := range tftpReaders {
		began := time.Now()
		var all errgroup.Group
		all.SetLimit(n)
		for range tftpRounds {
			all.Go(func() error { return readByTFTP(addr) })
		}
		if err := all.Wait(); err != nil {
			return err
		}
		s.record(fmt.Sprintf("tftp-%d-rate", n), tftpRounds*tftpFile/time.Since(began).Seconds())
	}
	return nil
}

// startTFTP starts the server that goes with the conductor, and returns its address.
func (s *subject) startTFTP(ctx context.Context, root string) (addr string, err error) {
	if s.conductor.name == python {
		s.service, addr, err = s.bench.lab.StartTFTPD(root)
		return addr, err
	}
	ports, err := s.bench.lab.ReservePorts(1)
	if err != nil {
		return "", err
	}
	addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	if _, err := s.start(ctx, map[string]map[string]string{
		"pxe": {"tftp_root": root}, "ironmaster": {"tftp_listen": addr},
	}); err != nil {
		return "", err
	}
	return addr, lab.AnswersTFTP(ctx, addr)
}

// readByTFTP reads the file once.
func readByTFTP(addr string) error {
	client, err := tftp.NewClient(addr)
	if err != nil {
		return err
	}
	client.SetBlockSize(tftpBlock)
	source, err := client.Receive(tftpName, "octet")
	if err != nil {
		return fmt.Errorf("reading by TFTP: %w", err)
	}
	n, err := source.WriteTo(io.Discard)
	if err == nil && n != tftpFile {
		err = fmt.Errorf("%d bytes of %d came", n, tftpFile)
	}
	if err != nil {
		return fmt.Errorf("reading by TFTP: %w", err)
	}
	return nil
}
