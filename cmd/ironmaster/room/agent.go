package room

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// agentVersion is the release of ironic-python-agent that the room's agents resemble.
	agentVersion = "10.2.0"
	// The API versions that ironic-python-agent asks for, at most.
	lookupVersion    = 62
	heartbeatVersion = 68
	apiTimeout       = time.Minute
	// lookupPause grows after each lookup that found nothing, up to maxLookupPause.
	lookupPause    = time.Second
	maxLookupPause = 10 * time.Second
)

// agent is what a machine runs after it booted the ramdisk: it looks its node up, serves commands and sends heartbeats
// until the power goes off.
type agent struct {
	m      *Machine
	log    zerolog.Logger
	client *http.Client
	apis   []string
	// tells is where the agent tells what it finds in the machine, before anything else; empty for none.
	tells string
	// api is the one of apis that answered the lookup, minor the newest version 1.minor that it knows.
	api   string
	minor int
	token string
	node  string
	// heartbeatTimeout is how long ironic waits for a heartbeat, as the lookup said.
	heartbeatTimeout time.Duration

	server   *agentServer
	commands commandLog
	// running are the background commands.
	running sync.WaitGroup
	// due holds a wish for a heartbeat before its time.
	due chan struct{}
	// quiet is closed when the agent was locked down: no heartbeats and no API from then on.
	quiet     chan struct{}
	quietOnce sync.Once
	mu        sync.Mutex
	// wrote is what the last write_image made, in the agent's own words; mu guards it.
	wrote map[string]any
}

// newAgent makes an agent from the parameters of its kernel command line.
func newAgent(m *Machine, parameters map[string]string) (*agent, error) {
	var apis []string
	callback := parameters["ipa-inspection-callback-url"]
	if text := parameters["ipa-api-url"]; text != "" || callback == "" {
		apis = strings.Split(text, ",")
	}
	for _, api := range apis {
		if u, err := url.Parse(api); err != nil || u.Host == "" {
			return nil, errors.New("the kernel parameter ipa-api-url is missing or not a URL")
		}
	}
	client := m.room.verified
	switch parameters["ipa-insecure"] {
	case "1", "true", "True", "yes":
		client = m.room.insecure
	}
	return &agent{
		m:      m,
		log:    m.log,
		client: client,
		apis:   apis,
		tells:  callback,
		token:  parameters["ipa-agent-token"],
		due:    make(chan struct{}, 1),
		quiet:  make(chan struct{}),
	}, nil
}

// run is the agent's life. It returns when ctx ends, with nothing of the agent left running.
func (a *agent) run(ctx context.Context) error {
	if a.tells != "" && !a.inspect(ctx) {
		return ctx.Err()
	}
	if len(a.apis) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	if !a.findNode(ctx) {
		return ctx.Err()
	}
	server, err := newAgentServer(ctx, a)
	if err != nil {
		return err
	}
	a.server = server
	var serving sync.WaitGroup
	serving.Go(server.serve)
	a.heartbeats(ctx)
	if ctx.Err() == nil {
		err = server.retire(ctx)
	}
	<-ctx.Done()
	err = errors.Join(err, server.close())
	serving.Wait()
	a.commands.close()
	a.running.Wait()
	return errors.Join(err, a.m.target.withdraw())
}

// lookupAnswer is the part of the lookup's answer that an agent uses.
type lookupAnswer struct {
	Node struct {
		UUID string `json:"uuid"`
	} `json:"node"`
	Config struct {
		HeartbeatTimeout float64 `json:"heartbeat_timeout"`
		AgentToken       string  `json:"agent_token"`
	} `json:"config"`
}

// findNode asks ironic which node the machine is, until it is told. It returns false when ctx ended first.
func (a *agent) findNode(ctx context.Context) bool {
	for wait := lookupPause; ; wait = min(2*wait, maxLookupPause) {
		for _, api := range a.apis {
			api = strings.TrimRight(api, "/")
			err := a.negotiate(ctx, api)
			var answer lookupAnswer
			if err == nil {
				answer, err = a.lookup(ctx, api, "")
			}
			if err == nil {
				a.api = api
				a.node = answer.Node.UUID
				a.heartbeatTimeout = time.Duration(answer.Config.HeartbeatTimeout * float64(time.Second))
				// Behind virtual media the token stands on the kernel command line and the lookup shows asterisks.
				if token := answer.Config.AgentToken; a.token == "" && token != "******" {
					a.token = token
				}
				a.log.Debug().Str("node", a.node).Msg("the agent knows its node")
				return true
			}
			if ctx.Err() == nil {
				a.log.Debug().Err(err).Msg("looking up the node")
			}
		}
		if !pause(ctx, wait) {
			return false
		}
	}
}

// negotiate asks one ironic-api for the newest version that it knows.
func (a *agent) negotiate(ctx context.Context, api string) error {
	var root struct {
		Default struct {
			Version string `json:"version"`
		} `json:"default_version"`
	}
	if err := a.call(ctx, http.MethodGet, api+"/", "", nil, http.StatusOK, &root); err != nil {
		return fmt.Errorf("asking ironic for its versions: %w", err)
	}
	_, minor, _ := strings.Cut(root.Default.Version, ".")
	var err error
	if a.minor, err = strconv.Atoi(minor); err != nil {
		return fmt.Errorf("ironic's version is %q", root.Default.Version)
	}
	return nil
}

// lookup asks one ironic-api for the node with the machine's MAC addresses, and with the uuid when that is known.
func (a *agent) lookup(ctx context.Context, api, node string) (lookupAnswer, error) {
	var answer lookupAnswer
	query := url.Values{"addresses": {strings.Join(a.m.info.MACs, ",")}}
	if node != "" {
		query.Set("node_uuid", node)
	}
	path := api + "/v1/lookup?" + query.Encode()
	if err := a.call(ctx, http.MethodGet, path, a.version(lookupVersion), nil, http.StatusOK, &answer); err != nil {
		return answer, err
	}
	if answer.Node.UUID == "" {
		return answer, errors.New("the lookup's answer names no node")
	}
	return answer, nil
}

// version is the header value of an agent that knows versions up to 1.most.
func (a *agent) version(most int) string { return fmt.Sprintf("1.%d", min(a.minor, most)) }

// heartbeats sends heartbeats until ctx ends or the agent is locked down: one at once, one when a background command
// ended, and one at a random time between 0.3 and 0.6 of ironic's timeout. One that fails is soon sent again. Two are
// never closer than the configured spacing.
func (a *agent) heartbeats(ctx context.Context) {
	if a.m.faults.noHeartbeat() {
		select {
		case <-a.quiet:
		case <-ctx.Done():
		}
		return
	}
	for {
		wait := time.Duration(float64(a.heartbeatTimeout) * a.m.faults.heartbeat())
		if err := a.heartbeat(ctx); err != nil {
			if ctx.Err() == nil {
				a.log.Debug().Err(err).Msg("sending a heartbeat")
			}
			wait = 0
		}
		if !pause(ctx, a.m.room.cfg.HeartbeatSpacing) {
			return
		}
		timer := time.NewTimer(wait - a.m.room.cfg.HeartbeatSpacing)
		select {
		case <-timer.C:
		case <-a.due:
		case <-a.quiet:
			timer.Stop()
			return
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// heartbeatSoon asks for a heartbeat before its time.
func (a *agent) heartbeatSoon() {
	select {
	case a.due <- struct{}{}:
	default:
	}
}

func (a *agent) heartbeat(ctx context.Context) error {
	body := map[string]string{
		"callback_url":    a.server.address(),
		"agent_token":     a.token,
		"agent_version":   agentVersion,
		"agent_verify_ca": string(a.server.certificate),
	}
	path := a.api + "/v1/heartbeat/" + a.node
	return a.call(ctx, http.MethodPost, path, a.version(heartbeatVersion), body, http.StatusAccepted, nil)
}

// call makes one request to ironic-api. An empty version sends no version header, a nil answer is not read.
func (a *agent) call(ctx context.Context, method, address, version string, body any, want int, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	if version != "" {
		request.Header.Set("X-OpenStack-Ironic-API-Version", version)
	}
	response, err := do(a.client, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != want {
		return fmt.Errorf("ironic answered %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("ironic's answer: %w", err)
	}
	return nil
}
