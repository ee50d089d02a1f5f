package main

import (
	"encoding/json"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
)

func newEventsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "events", Short: "Follow what happens to nodes", Args: cobra.NoArgs}
	flags := addOsloFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, _, err := flags.load(cmd.Context(), config.R2023_1)
		if err != nil {
			return err
		}
		keys := []string{conductor.ProgressTopic + ".*"}
		for _, topic := range s.Default.VersionedNotificationsTopics {
			keys = append(keys, topic+".*")
		}
		sub, err := rabbit.NewSubscriber(brokerConfig(s, "ironmaster events", zerolog.Nop()), keys)
		if err != nil {
			return err
		}
		out := json.NewEncoder(cmd.OutOrStdout())
		sub.Run(cmd.Context(), func(_ string, body []byte) {
			if n, err := oslo.DecodeNotification(body); err == nil {
				_ = out.Encode(n)
			}
		})
		return nil
	}
	return cmd
}
