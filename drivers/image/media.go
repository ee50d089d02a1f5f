package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
)

// Media are images that users have put into nodes' virtual drives: each a copy of its own in a folder, served until it is withdrawn, also
// after a restart and then at the same URL.
type Media struct {
	dir     string
	service *Service
	server  *Server
}

// tokenSuffix ends the name of the file that keeps the secret part of an image's URL beside it.
const tokenSuffix = ".token"

// OpenMedia serves what the folder holds again. What cannot be served is removed: its drive shows nothing then, as after an ejection.
func OpenMedia(dir string, service *Service, server *Server, log zerolog.Logger) (*Media, error) {
	m := &Media{dir: dir, service: service, server: server}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of attached images: %w", err)
	}
	tokens, err := filepath.Glob(filepath.Join(dir, "*", "*"+tokenSuffix))
	if err != nil {
		return nil, fmt.Errorf("listing attached images: %w", err)
	}
	for _, file := range tokens {
		node, name := filepath.Base(filepath.Dir(file)), strings.TrimSuffix(filepath.Base(file), tokenSuffix)
		token, err := os.ReadFile(file)
		if err == nil {
			_, err = server.Publish(Offer{Node: node, Name: name, Path: strings.TrimSuffix(file, tokenSuffix), Token: string(token)})
		}
		if err != nil {
			log.Warn().Err(err).Str("node", node).Str("image", name).Msg("An attached image can't be served again")
			if err := m.Withdraw(node, name); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// Publish fetches an image once, without waiting for a source that is away, and returns the URL at which the node's BMC reads it. What was
// published for the node under that name is withdrawn before.
//
// Crash windows: a copy without a token beside it is overwritten by the next; one that the caller did not live to attach is served until it
// is attached again or withdrawn.
func (m *Media) Publish(ctx context.Context, node, name, href string) (string, error) {
	return m.PublishChecked(ctx, node, name, href, func(string) error { return nil })
}

// PublishChecked is Publish of an image that check finds good.
func (m *Media) PublishChecked(ctx context.Context, node, name, href string, check func(file string) error) (string, error) {
	if err := m.Withdraw(node, name); err != nil {
		return "", err
	}
	folder := filepath.Join(m.dir, node)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("making the folder of attached images: %w", err)
	}
	file := filepath.Join(folder, name)
	err := m.fetch(ctx, href, file)
	if err == nil {
		err = check(file)
	}
	if err != nil {
		return "", errors.Join(err, m.Withdraw(node, name))
	}
	published, err := m.server.Publish(Offer{Node: node, Name: name, Path: file})
	if err == nil {
		err = os.WriteFile(file+tokenSuffix, []byte(published.Token), 0o600)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("serving an attached image: %w", err), m.Withdraw(node, name))
	}
	return published.URL, nil
}

func (m *Media) fetch(ctx context.Context, href, to string) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keeping an attached image: %w", err)
	}
	_, err = m.service.Download(ctx, Ref{Href: href}, f, nil)
	return errors.Join(err, f.Close())
}

// Withdraw stops serving images of a node and removes them. One that is not there is no error.
func (m *Media) Withdraw(node string, names ...string) error {
	if _, err := uuid.Parse(node); err != nil {
		return fmt.Errorf("withdrawing images of %q: %w", node, err)
	}
	m.server.Withdraw(node, names...)
	for _, name := range names {
		file := filepath.Join(m.dir, node, filepath.Base(name))
		for _, one := range []string{file + tokenSuffix, file} {
			if err := os.Remove(one); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("removing an attached image: %w", err)
			}
		}
	}
	return nil
}

// WithdrawAll is Withdraw of all that is published for a node.
func (m *Media) WithdrawAll(node string) error {
	files, err := os.ReadDir(filepath.Join(m.dir, filepath.Base(node)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing the images of a node: %w", err)
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), tokenSuffix))
	}
	if len(names) == 0 {
		return nil
	}
	return m.Withdraw(node, names...)
}
