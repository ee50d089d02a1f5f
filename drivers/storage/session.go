package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// session is Cinder's API on behalf of whoever asked for a task.
type session struct {
	cinder *Cinder
	task   *drivers.Task
	api    *gophercloud.ServiceClient
}

// ownProject is the end of an endpoint that names its project. Cinder does without since Yoga, and refuses one of another project.
var ownProject = regexp.MustCompile(`(/v3)/(?:AUTH_)?[0-9a-f-]{32,36}/*$`)

// requestLimit bounds one request where [cinder]timeout does not.
const requestLimit = 10 * time.Minute

// session logs in, with the rights of whoever asked for the task, or of the service where there is no token of his.
func (c *Cinder) session(ctx context.Context, t *drivers.Task) (*session, error) {
	api, endpoint, err := c.service.Client(ctx)
	if err != nil {
		return nil, err
	}
	api.Endpoint = strings.TrimRight(ownProject.ReplaceAllString(endpoint, "$1"), "/") + "/"
	if t.GlobalRequestID != "" {
		headers := map[string]string{"X-OpenStack-Request-ID": t.GlobalRequestID}
		maps.Copy(headers, api.MoreHeaders)
		api.MoreHeaders = headers
	}
	if t.AuthToken != "" && !t.SystemScope && c.service.LogsIn() {
		c.service.OnBehalf(api, t.AuthToken)
	}
	return &session{c, t, api}, nil
}

// retryPause is what keystoneauth waits at first before it tries a connection again.
const retryPause = 500 * time.Millisecond

// do makes a request, and makes it again while Cinder cannot be reached. A refusal has the text that ironic shows of it.
func (s *session) do(ctx context.Context, request func(context.Context) error) error {
	for left, pause := s.cinder.cfg.Retries, retryPause; ; left, pause = left-1, 2*pause {
		err := once(ctx, request)
		if err == nil || left <= 0 || ctx.Err() != nil || !store.Unreachable(err) {
			return s.cinder.refusal(err)
		}
		if err := drivers.Pause(ctx, pause); err != nil {
			return err
		}
	}
}

func once(ctx context.Context, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	return request(ctx)
}

func (s *session) volume(ctx context.Context, id string) (v *volumes.Volume, err error) {
	return v, s.do(ctx, func(ctx context.Context) (err error) {
		v, err = volumes.Get(ctx, s.api, id).Extract()
		return err
	})
}

// tellOwner leaves a note for the volume's owner in its metadata. Nothing depends on it.
func (s *session) tellOwner(ctx context.Context, id, action string) {
	n := s.task.Node
	note, err := json.Marshal(map[string]string{"instance_uuid": owner(n), "last_action": action,
		"last_seen": s.cinder.now().UTC().Format("2006-01-02T15:04:05.000000")})
	if err == nil {
		body := map[string]any{"metadata": map[string]string{"ironic_node_" + n.UUID: string(note)}}
		err = s.do(ctx, func(ctx context.Context) error {
			_, err := s.api.Post(ctx, s.api.ServiceURL("volumes", id, "metadata"), body, nil, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}})
			return err
		})
	}
	if err != nil {
		s.task.Log.Warn().Err(err).Str("volume", id).Msg("Updating the metadata of a volume failed")
	}
}

// owner is the instance that a node's volumes belong to.
func owner(n *store.Node) string {
	if n.InstanceUUID != "" {
		return n.InstanceUUID
	}
	return n.UUID
}

// attachment is a volume's attachment to a node, nil when it is not attached to it.
func attachment(n *store.Node, v *volumes.Volume) *volumes.Attachment {
	for i, a := range v.Attachments {
		if a.ServerID != "" && (a.ServerID == n.InstanceUUID || a.ServerID == n.UUID) {
			return &v.Attachments[i]
		}
	}
	return nil
}

// refusal gives an error of Cinder's API the text that ironic shows of it.
func (c *Cinder) refusal(err error) error {
	var answer gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &answer) {
		return err
	}
	if c.cfg.SDKTexts {
		return keystone.Refusal(err, "NotFoundException")
	}
	if id := answer.ResponseHeader.Get("X-Openstack-Request-Id"); id != "" {
		return fmt.Errorf("%s (HTTP %d) (Request-ID: %s)", keystone.Said(answer), answer.Actual, id)
	}
	return fmt.Errorf("%s (HTTP %d)", keystone.Said(answer), answer.Actual)
}
