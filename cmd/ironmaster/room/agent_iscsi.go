package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room/tgt"
)

// iscsiPort is where ramdisks listen for initiators when nobody says.
const (
	iscsiPort      = 3260
	extensionISCSI = "iscsi"
)

// withdrawLimit bounds how long a machine that goes down takes to take its target away.
const withdrawLimit = 20 * time.Second

// targets are the iSCSI daemons of a room, one for each port that machines were told to listen on. Machines of one address
// share them, as they share the address.
type targets struct {
	dir  string
	ip   net.IP
	mu   sync.Mutex
	open map[int]*tgt.Daemon
}

// at returns the daemon of a port, which is started when it is asked for first.
func (t *targets) at(ctx context.Context, port int) (*tgt.Daemon, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.open[port]; d != nil {
		return d, nil
	}
	d, err := tgt.Start(ctx, filepath.Join(t.dir, strconv.Itoa(port)), net.JoinHostPort(t.ip.String(), strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	if t.open == nil {
		t.open = map[int]*tgt.Daemon{}
	}
	t.open[port] = d
	return d, nil
}

func (t *targets) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var failed []error
	for _, d := range t.open {
		failed = append(failed, d.Close())
	}
	return errors.Join(failed...)
}

// exported is the target that a machine's disk is behind.
type exported struct {
	mu     sync.Mutex
	daemon *tgt.Daemon
	name   string
}

// withdraw takes the target away, if there is one.
func (e *exported) withdraw() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.daemon == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), withdrawLimit)
	defer cancel()
	err := e.daemon.Withdraw(ctx, e.name)
	e.daemon = nil
	return err
}

// startISCSITarget is the command of ironic-python-agent's extension iscsi, which it had until Wallaby: it exposes the disk.
// Asked again it takes the former target away first, as the plug-in for today's agents does (deploy-examples/iscsi-ramdisk).
func startISCSITarget(ctx context.Context, a *agent, p params) (any, error) {
	request := struct {
		Name string `json:"iqn"`
		Port int    `json:"portal_port"`
		Wipe bool   `json:"wipe_disk_metadata"`
	}{Port: iscsiPort}
	for key, into := range map[string]any{"iqn": &request.Name, "portal_port": &request.Port, "wipe_disk_metadata": &request.Wipe} {
		if text, given := p[key]; given {
			if err := json.Unmarshal(text, into); err != nil {
				return nil, agentInvalidParams(fmt.Sprintf("%s is not readable: %s", key, err))
			}
		}
	}
	if request.Name == "" {
		return nil, agentInvalidParams("iqn is missing")
	}
	a.m.change(func(s *state) { s.tellStep("start_iscsi_target") })
	if err := a.m.target.withdraw(); err != nil {
		return nil, iscsiFailed(err)
	}
	if request.Wipe {
		if err := a.m.disk.eraseMetadata(); err != nil {
			return nil, iscsiFailed(err)
		}
	}
	daemon, err := a.m.room.targets.at(ctx, request.Port)
	if err != nil {
		return nil, iscsiFailed(err)
	}
	if a.m.faults.iscsiLost() {
		// It says yes, and nobody finds the disk.
		return map[string]string{"iscsi_target_iqn": request.Name}, nil
	}
	a.m.target.mu.Lock()
	defer a.m.target.mu.Unlock()
	if err := daemon.Export(ctx, request.Name, a.m.disk.path); err != nil {
		return nil, iscsiFailed(err)
	}
	a.m.target.daemon, a.m.target.name = daemon, request.Name
	return map[string]string{"iscsi_target_iqn": request.Name}, nil
}

func iscsiFailed(err error) error {
	return newAgentError("ISCSICommandError", 500, "Error starting iSCSI target", err.Error())
}
