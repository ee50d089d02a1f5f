package image

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Plain finds files that are published under plain names, such as boot files. peer is who asks, as address and port. Without
// a file at a path ok is false.
type Plain interface {
	Find(urlPath, peer string) (f PlainFile, ok bool)
}

// PlainFile is an open file; the server closes it.
type PlainFile struct {
	Content *os.File
	// Node is the UUID of the node that the file is for, or empty.
	Node     string
	Size     int64
	Modified time.Time
	// OnProgress is that of an Offer, for one request.
	OnProgress func(Snapshot)
}

// plain makes a publication for one request of what Plain finds, if it finds anything. The file is closed with the request.
func (s *Server) plain(urlPath, peer string) *publication {
	if s.cfg.Plain == nil {
		return nil
	}
	f, ok := s.cfg.Plain.Find(urlPath, peer)
	if !ok {
		return nil
	}
	p := &publication{Offer: Offer{Node: f.Node, Name: urlPath, OnProgress: f.OnProgress}, plain: f.Content, modified: f.Modified,
		size: f.Size, etag: fmt.Sprintf(`"%x-%x"`, f.Modified.UnixNano(), f.Size), withdrawn: context.Background()}
	p.taken.Begin(PhaseServe, p.size)
	return p
}
