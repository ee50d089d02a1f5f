package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

type options = map[string]map[string]string

const (
	// deadAfter is heartbeat_timeout: how long a conductor has to be silent before its peers take its nodes.
	deadAfter = 8 * time.Second
	// imageSize is that of the images, in MiB.
	imageSize = 6
)

// settings let things come round quickly that take minutes where machines take minutes to start. They hold for ironic-api and
// for conductors of both kinds.
func settings() options {
	return options{
		"DEFAULT": {"hash_ring_reset_interval": "1", "debug": "", "use_json": "true", "enabled_hardware_types": "redfish,fake-hardware",
			// How long ironic-api waits for a conductor that is dead and not known to be.
			"rpc_response_timeout": "15"},
		"conductor": {"heartbeat_interval": "1", "heartbeat_timeout": fmt.Sprint(deadAfter.Seconds()),
			"check_provision_state_interval": "2",
			// A sixth of it is how long a machine may take to boot after its worker has come back.
			"deploy_callback_timeout": "120"},
		"agent": {"command_wait_interval": "1", "post_deploy_get_power_state_retry_interval": "1"},
		"redfish": {"connection_attempts": "2", "connection_retry_interval": "1", "connect_timeout": "10", "read_timeout": "10",
			"use_swift": "false"},
		// An agent sends a heartbeat after 0.3 to 0.6 of this.
		"api": {"ramdisk_heartbeat_timeout": "12", "api_workers": "2"},
	}
}

// site is one set of services with a machine room and what the machines boot and get.
type site struct {
	lab      *lab.Lab
	room     *room.Room
	roomLog  *os.File
	database *sql.DB
	cloud    *cloud
	notices  *notices
	image    lab.DiskImage
	ramdisk  lab.Ramdisk
	// images is where the image is served to agents and conductors.
	images  string
	servers []*http.Server
	serving sync.WaitGroup
	hosts   []*host
}

// openSite starts everything but conductors.
func openSite(ctx context.Context, dir string, machines int, seed uint64, extra options) (s *site, err error) {
	s = &site{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.lab, err = lab.Start(ctx, lab.Options{Dir: dir, Database: "mariadb", Extra: lab.Merge(settings(), extra)}); err != nil {
		return s, err
	}
	if s.database, err = s.lab.Database.OpenMariaDB(); err != nil {
		return s, err
	}
	if s.cloud, err = newCloud(s.lab.IronicURL); err != nil {
		return s, err
	}
	if s.notices, err = follow(s.lab.RabbitMQ.TransportURL); err != nil {
		return s, err
	}
	wares := filepath.Join(s.lab.Dir, "wares")
	if s.ramdisk, err = lab.MakeRamdisk(ctx, wares); err != nil {
		return s, err
	}
	if s.image, err = lab.MakeDiskImage(ctx, wares, imageSize, 1); err != nil {
		return s, err
	}
	if s.images, err = s.serve(wares); err != nil {
		return s, err
	}
	return s, s.openRoom(ctx, machines, seed)
}

func (s *site) openRoom(ctx context.Context, machines int, seed uint64) (err error) {
	if s.roomLog, err = os.Create(filepath.Join(s.lab.Dir, "room.log")); err != nil {
		return err
	}
	s.room, err = room.Open(ctx, room.Config{
		Dir: filepath.Join(s.lab.Dir, "room"), Count: machines, Seed: seed, DiskSize: 16 << 20, NICs: 1,
		PowerDelay: 20 * time.Millisecond, BootDelay: 300 * time.Millisecond, HeartbeatSpacing: time.Second,
		// As ironic-python-agent: ten attempts in all.
		DownloadAttempts: 10, DownloadPause: time.Second, DownloadRate: 4 << 20,
		Log: zerolog.New(s.roomLog).With().Timestamp().Logger(),
	})
	return err
}

// serve starts a web server for a folder and returns its URL.
func (s *site) serve(dir string) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("serving %s: %w", dir, err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(dir)), ReadHeaderTimeout: time.Minute}
	s.servers = append(s.servers, server)
	s.serving.Go(func() {
		// It returns when the server is closed, and says just that.
		_ = server.Serve(listener)
	})
	return "http://" + listener.Addr().String(), nil
}

// close ends everything. What was written stays.
func (s *site) close() error {
	var failed []error
	if s.notices != nil {
		s.notices.close()
	}
	if s.room != nil {
		failed = append(failed, s.room.Close())
	}
	if s.roomLog != nil {
		failed = append(failed, s.roomLog.Close())
	}
	for _, server := range s.servers {
		failed = append(failed, server.Close())
	}
	s.serving.Wait()
	if s.database != nil {
		failed = append(failed, s.database.Close())
	}
	if s.lab != nil {
		failed = append(failed, s.lab.Close())
	}
	for _, h := range s.hosts {
		h.closePaths()
	}
	return errors.Join(failed...)
}
