package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rs/zerolog"
)

// checkJSONRPC looks whether requests could come: certificates, users and the address.
func (c *checker) checkJSONRPC(ctx context.Context) []finding {
	s, _, release, err := c.settings(ctx)
	if err != nil {
		return configProblems(err)
	}
	cfg, err := workerConfig(s, release)
	if err != nil {
		return configProblems(err)
	}
	var all []finding
	if _, err := jsonRPCConfig(s, cfg, zerolog.Nop()); err != nil {
		all = append(all, finding{levelFail, err.Error(), "correct what the option names, and let the user of the conductor read it"})
	}
	address, err := jsonRPCAddress(s.JSONRPC)
	if err != nil {
		return append(all, configProblems(err)...)
	}
	if address.Socket != "" {
		return append(all, checkSocketFolder(address.Socket))
	}
	const option = "[json_rpc]host_ip and port"
	listener, err := address.Listen()
	switch {
	case err == nil:
		_ = listener.Close() // Nobody came.
		all = append(all, okay("%s is free", address))
	case errors.Is(err, syscall.EADDRINUSE):
		health, askErr := askHealth(ctx, dialAddress(s.Ironmaster.AdminListen))
		if askErr == nil && health.Host == cfg.Host {
			return append(all, okay("%s is taken, by the Ironmaster on this machine", address))
		}
		all = append(all, finding{levelFail, fmt.Sprintf("%s: %v", option, err),
			"stop ironic-conductor or whatever else listens there, or choose another port, here and for ironic-api"})
	default:
		all = append(all, finding{levelFail, fmt.Sprintf("%s: %v", option, err), "name an address of this machine, or :: for all"})
	}
	return all
}

func checkSocketFolder(socket string) finding {
	folder := filepath.Dir(socket)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return finding{levelFail, fmt.Sprintf("[json_rpc]unix_socket: there is no folder %s", folder), "make it, for the conductor's user"}
	}
	return okay("requests will come through %s", socket)
}
