package netboot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/pin/tftp/v3"
)

const (
	// maxLoader and maxConfig bound what is kept of a foreign server's answer; what is larger is not what it should be.
	maxLoader = 32 << 20
	maxConfig = 256 << 10
	// tftpBlock fits into an Ethernet frame, as the option blksize of most firmware does.
	tftpBlock   = 1428
	tftpTimeout = 2 * time.Second
	tftpRetries = 4
	// fetchTimeout bounds the fetching of one file.
	fetchTimeout = 5 * time.Minute
)

var (
	errNotFound = errors.New("the server has no such file")
	errEmpty    = errors.New("the file is empty")
	errTooLarge = errors.New("the file is larger than it may be")
)

// file is a file on a server: at a URL of HTTP, or by its name at a TFTP server.
type file struct {
	server, name string
	url          *url.URL
}

func (f file) String() string {
	if f.url != nil {
		return f.url.Redacted()
	}
	return "tftp://" + f.server + "/" + strings.TrimPrefix(f.name, "/")
}

// beside is another file, named from this one's folder as relative URLs are.
func (f file) beside(name string) (file, error) {
	if strings.Contains(name, "://") {
		return parseURL(name)
	}
	if f.url != nil {
		u, err := f.url.Parse(name)
		if err != nil {
			return file{}, fmt.Errorf("the name %q cannot be understood", name)
		}
		return file{url: u}, nil
	}
	if strings.HasPrefix(name, "/") {
		return file{server: f.server, name: name}, nil
	}
	folder, _ := path.Split(f.name)
	return file{server: f.server, name: folder + name}, nil
}

// base is the last part of a file's name.
func (f file) base() string {
	if f.url != nil {
		return path.Base(f.url.Path)
	}
	return path.Base(f.name)
}

// fetcher fetches files for one machine.
type fetcher struct {
	client   *http.Client
	tftpPort int
	// from is the machine's address.
	from string
}

// read fetches a file that is kept.
func (f fetcher) read(ctx context.Context, from file, limit int) ([]byte, error) {
	kept := &bytes.Buffer{}
	err := f.copy(ctx, from, &bounded{to: kept, left: limit})
	if err == nil && kept.Len() == 0 {
		err = errEmpty
	}
	return kept.Bytes(), err
}

// load fetches a kernel or a ramdisk, of which nothing but its being there matters.
func (f fetcher) load(ctx context.Context, from file) (int64, error) {
	count := &counted{}
	err := f.copy(ctx, from, count)
	if err == nil && count.n == 0 {
		err = errEmpty
	}
	return count.n, err
}

func (f fetcher) copy(ctx context.Context, from file, to io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	to = &cancelled{ctx: ctx, to: to}
	if from.url != nil {
		return f.copyHTTP(ctx, from, to)
	}
	return f.copyTFTP(from, to)
}

func (f fetcher) copyHTTP(ctx context.Context, from file, to io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.url.String(), nil)
	if err != nil {
		return err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		_, err = io.Copy(to, response.Body)
		return err
	case http.StatusNotFound:
		return errNotFound
	}
	return fmt.Errorf("the server answered %s", response.Status)
}

// tftpNotFound is how the library tells of error code 1 (RFC 1350).
const tftpNotFound = "code: 1,"

func (f fetcher) copyTFTP(from file, to io.Writer) error {
	address := from.server
	if _, _, err := net.SplitHostPort(address); err != nil {
		port := f.tftpPort
		if port == 0 {
			port = 69
		}
		address = net.JoinHostPort(address, strconv.Itoa(port))
	}
	client, err := tftp.NewClient(address)
	if err != nil {
		return err
	}
	client.SetTimeout(tftpTimeout)
	client.SetRetries(tftpRetries)
	client.SetBlockSize(tftpBlock)
	client.RequestTSize(true)
	if net.ParseIP(f.from).IsLoopback() {
		if err := client.SetLocalAddr(f.from); err != nil {
			return err
		}
	}
	transfer, err := client.Receive(from.name, "octet")
	if err == nil {
		_, err = transfer.WriteTo(to)
	}
	if err != nil && strings.Contains(err.Error(), tftpNotFound) {
		return errNotFound
	}
	return err
}

// bounded refuses what is too much.
type bounded struct {
	to   io.Writer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(p) > b.left {
		return 0, errTooLarge
	}
	b.left -= len(p)
	return b.to.Write(p)
}

type counted struct{ n int64 }

func (c *counted) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// cancelled fails when ctx has ended, for TFTP's transfers know no contexts.
type cancelled struct {
	ctx context.Context
	to  io.Writer
}

func (c *cancelled) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.to.Write(p)
}
