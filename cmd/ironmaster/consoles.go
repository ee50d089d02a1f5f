package main

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/graphical"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/messaging"
)

// openContainers opens what graphical consoles run in, nil before ironic 29.0. A provider that can't be used ends the start even
// where no node has such a console, as it does upstream.
func openContainers(ctx context.Context, s *config.Settings, release messaging.Release) (graphical.Containers, error) {
	if !hasGraphicalConsoles(release) {
		return nil, nil
	}
	return graphical.OpenContainers(ctx, containerConfig(s))
}

func hasGraphicalConsoles(release messaging.Release) bool { return release >= messaging.V2025_1 }

// addGraphicalConsoles puts them into a build. fake-graphical was for fake hardware alone at first.
func addGraphicalConsoles(p *catalog.Parts, s *config.Settings, client *redfish.Client, containers graphical.Containers,
	release messaging.Release) {
	if !hasGraphicalConsoles(release) {
		return
	}
	cfg := graphical.Config{PublicURL: s.VNC.PublicURL, TokenTimeout: s.VNC.TokenTimeout}
	p.GraphicalConsoles = map[string]drivers.Console{
		"fake-graphical":    graphical.NewConsole(cfg, containers, graphical.Test{}),
		"redfish-graphical": graphical.NewConsole(cfg, containers, redfish.NewConsoleApp(client)),
	}
	p.GraphicalEverywhere = release > messaging.V2025_2
}

func containerConfig(s *config.Settings) graphical.ContainerConfig {
	v := s.VNC
	own := func(path, packaged string) string {
		if strings.HasSuffix(path, "/ironic/console/container/"+packaged) {
			return ""
		}
		return path
	}
	return graphical.ContainerConfig{
		Provider: v.ContainerProvider, Image: v.ConsoleImage, ReadOnly: v.ReadOnly, Host: s.Default.Host, Address: s.Default.MyIP,
		ReadyTimeout: v.ReadyTimeout, SystemdTemplate: own(v.SystemdTemplate, "ironic-console.container.template"),
		KubernetesTemplate: own(v.KubernetesTemplate, "ironic-console-pod.yaml.template"),
		CommandTemplate:    own(v.CommandTemplate, "ironic-console-container.template"),
		SystemdPort:        v.SystemdPort, CommandPort: v.CommandPort, PodTimeout: v.PodTimeout,
		Executable: v.Executable, EngineHost: v.EngineHost,
	}
}
