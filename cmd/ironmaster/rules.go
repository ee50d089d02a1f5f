package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/inspection/rules"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
	"github.com/ironmaster/ironmaster/store/sql"
)

// openRules builds what applies inspection rules; nil where the release has none.
func openRules(s *config.Settings, release messaging.Release, db *sql.DB) (*rules.Engine, error) {
	if release < messaging.V2025_1 {
		return nil, nil
	}
	cfg := rules.Config{MaskSecrets: s.Rules.MaskSecrets, EmptyMissing: release >= messaging.V34_0,
		ValuesFormatted: release >= messaging.Newest}
	if release >= messaging.V2025_2 {
		verify := s.Default.WebserverVerifyCA
		transport, err := keystone.NewTransport(image.DefaultConfig().Glance.Timeout,
			keystone.TLS{CAFile: verify.CAFile, Insecure: !verify.Enabled})
		if err != nil {
			return nil, fmt.Errorf("[DEFAULT]webserver_verify_ca: %w", err)
		}
		cfg.HTTP = &http.Client{Transport: transport}
	}
	if path := s.Rules.BuiltIn; path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("[inspection_rules]built_in_rules: %w", err)
		}
		if cfg.BuiltIn, err = rules.NewEngine(cfg, nil).ParseBuiltIn(text); err != nil {
			return nil, fmt.Errorf("[inspection_rules]built_in_rules: %s: %w", path, err)
		}
	}
	return rules.NewEngine(cfg, ruleStore{db}), nil
}

// ruleStore gives rules the database, each change under the node's reservation.
type ruleStore struct{ *sql.DB }

func guardOf(n *store.Node) sql.Guard {
	return sql.Guard{Reservation: n.Reservation, ProvisionState: n.ProvisionState}
}

func (r ruleStore) AddTrait(ctx context.Context, n *store.Node, trait string) error {
	return r.AddTraits(ctx, n, guardOf(n), []string{trait})
}

func (r ruleStore) RemoveTrait(ctx context.Context, n *store.Node, trait string) error {
	return r.RemoveTraits(ctx, n, guardOf(n), []string{trait})
}
