package irmc

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/icholy/digest"

	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// largestAnswer bounds what is read of an iRMC's answer, in bytes: reports are some hundred KiB.
const largestAnswer = 16 << 20

// rest is what an iRMC answers over HTTP beside Redfish: its report, and eLCM, by which it reads and changes BIOS settings and arrays
// (python-scciclient, scciclient/irmc/scci.py and elcm.py). Each request logs in by itself.
type rest struct {
	base string
	http *http.Client
	// user and password are sent with each request; empty with digest, which the transport does.
	user, password string
}

// openREST reaches the iRMC of a node. close gives its connections back.
func openREST(n *store.Node, cfg Config) (r *rest, closeREST func(), err error) {
	a, err := access(n, cfg)
	if err != nil {
		return nil, nil, err
	}
	security, err := redfish.TLSConfig(a.Verify, redfish.Dialect{})
	if err != nil {
		return nil, nil, err
	}
	transport := &http.Transport{TLSClientConfig: security, DialContext: (&net.Dialer{Timeout: a.Timeout}).DialContext,
		TLSHandshakeTimeout: a.Timeout, ResponseHeaderTimeout: max(a.Timeout, profileTimeout)}
	r = &rest{base: a.Address, user: a.Username, password: a.Password, http: &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if choice(n.DriverInfo, "irmc_auth_method", cfg.AuthMethod) == "digest" {
		r.http.Transport = &digest.Transport{Username: a.Username, Password: a.Password, Transport: transport}
		r.user, r.password = "", ""
	}
	return r, transport.CloseIdleConnections, nil
}

// profileTimeout is how long an iRMC may take to begin with a profile.
const profileTimeout = 5 * time.Minute

// ask sends a request and returns the answer's status and text.
func (r *rest) ask(ctx context.Context, method, path string, query url.Values, contentType string, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, profileTimeout)
	defer cancel()
	where := r.base + path
	if len(query) > 0 {
		where += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, where, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("asking an iRMC: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if r.user != "" {
		request.SetBasicAuth(r.user, r.password)
	}
	answer, err := r.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, largestAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	if answer.StatusCode == http.StatusUnauthorized {
		return 0, nil, fmt.Errorf("UNAUTHORIZED")
	}
	return answer.StatusCode, text, nil
}

// report reads the report of an iRMC.
func (r *rest) report(ctx context.Context, into any) error {
	status, text, err := r.ask(ctx, http.MethodGet, "/report.xml", nil, "", nil)
	switch {
	case err != nil:
		return err
	case status != http.StatusOK && status != http.StatusCreated:
		return fmt.Errorf("HTTP PROTOCOL ERROR, STATUS CODE = %d", status)
	}
	if err := xml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("the report of the iRMC cannot be read: %w", err)
	}
	return nil
}
