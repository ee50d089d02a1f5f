package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/tftp"
)

// bootServers serves what machines boot from the network: [pxe]tftp_root by TFTP, when an operator wants it, and
// [deploy]http_root at the image server.
type bootServers struct {
	tftp   *tftp.Server // nil when none is wanted
	follow atomic.Pointer[func(context.Context, drivers.Transfer)]
}

// openBootServers builds the servers. The one of TFTP does not listen before begin.
func openBootServers(s *config.Settings, log zerolog.Logger) *bootServers {
	b := &bootServers{}
	if s.Ironmaster.TFTPListen != "" {
		b.tftp = tftp.New(tftpConfig(s), b.moved, log)
	}
	return b
}

// begin listens, and tells follow from then on how far machines are with their files.
func (b *bootServers) begin(ctx context.Context, follow func(context.Context, drivers.Transfer)) error {
	b.follow.Store(&follow)
	if b.tftp == nil {
		return nil
	}
	if _, err := b.tftp.Start(ctx); err != nil {
		return fmt.Errorf("[ironmaster]tftp_listen: %w", err)
	}
	return nil
}

func (b *bootServers) close(ctx context.Context) error {
	if b.tftp == nil {
		return nil
	}
	return b.tftp.Close(ctx)
}

func (b *bootServers) moved(t drivers.Transfer) {
	if follow := b.follow.Load(); follow != nil {
		(*follow)(context.Background(), t)
	}
}

// fetchers are the boot interfaces whose machines fetch files of [deploy]http_root.
var fetchers = []string{"ipxe", "http", "http-ipxe", "ilo-ipxe"}

// plain is what the image server gives out beside images: nothing unless a boot interface needs it.
func (b *bootServers) plain(s *config.Settings, log zerolog.Logger) image.Plain {
	if !slices.ContainsFunc(s.Default.EnabledBoot, func(name string) bool { return slices.Contains(fetchers, name) }) {
		return nil
	}
	return httpRoot{tree: tftp.NewTree(s.Deploy.HTTPRoot), moved: b.moved, log: log}
}

// httpRoot is image.Plain over [deploy]http_root.
type httpRoot struct {
	tree  tftp.Tree
	moved func(drivers.Transfer)
	log   zerolog.Logger
}

func (h httpRoot) Find(urlPath, peer string) (image.PlainFile, bool) {
	log := h.log.With().Str("peer", peer).Str("file", urlPath).Logger()
	file, err := h.tree.Open(urlPath)
	if err != nil {
		log.Debug().Err(err).Msg("There is no such file to send by HTTP")
		return image.PlainFile{}, false
	}
	log.Info().Str("node", file.Node).Int64("size", file.Size).Msg("Sending a file by HTTP")
	state := drivers.Transfer{Node: file.Node, File: file.Name, By: "HTTP", Peer: peer, Total: file.Size}
	return image.PlainFile{Content: file.File, Node: file.Node, Size: file.Size, Modified: file.Modified,
		OnProgress: func(at image.Snapshot) {
			now := state
			now.Bytes = at.Done
			h.moved(now)
		}}, true
}
