package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/ring"
	"github.com/ironmaster/ironmaster/store/sql"
)

func (c *checker) checkDatabase(context.Context) []finding {
	db, err := c.database()
	if err != nil {
		return []finding{{levelFail, err.Error(), "start the database, or correct [database]connection; the schema is made " +
			"and upgraded by ironic-dbsync"}}
	}
	schema := db.Schema()
	return []finding{okay("%s, schema %s of ironic %s (%s)", db.Engine(), schema.Revision, schema.Release, schema.Series)}
}

func (c *checker) checkBroker(ctx context.Context) []finding {
	address, err := rabbit.Check(ctx, brokerConfig(c.first, "ironmaster check", zerolog.Nop()))
	if err != nil {
		return []finding{{levelFail, err.Error(), "start RabbitMQ, or correct user, password, address and virtual host in " +
			"[DEFAULT]transport_url"}}
	}
	return []finding{okay("%s lets this conductor in", address)}
}

// checkNotifications looks for the broker that only notifications need.
func (c *checker) checkNotifications(ctx context.Context) []finding {
	cfg, option := notifierConfig(c.first, zerolog.Nop())
	address, err := rabbit.Check(ctx, cfg)
	if err != nil {
		return []finding{{levelWarn, err.Error(), "start RabbitMQ, or correct " + option + "; notifications wait until then. " +
			"Without [oslo_messaging_notifications]driver no broker is needed"}}
	}
	return []finding{okay("%s takes notifications", address)}
}

func (c *checker) checkGlance(ctx context.Context) []finding {
	cfg := imageConfig(c.first)
	cfg.Glance.Retries = 0
	if cfg.Glance.AuthURL == "" && cfg.Glance.EndpointOverride == "" {
		return []finding{{levelWarn, "not configured: only images at http, https and file URLs can be deployed",
			"set auth_type and what belongs to it in [glance], or auth_type = none and endpoint_override"}}
	}
	service, err := image.New(cfg, zerolog.Nop())
	if err != nil {
		return []finding{{levelFail, err.Error(), "correct the certificates in [glance]"}}
	}
	defer service.Close()
	// An image that nobody has tells whether Glance is there and knows this conductor.
	_, err = service.Show(ctx, image.Ref{Href: uuid.NewString()})
	switch store.KindOf(err) {
	case store.ImageNotFound:
		return []finding{okay("answers, and knows this conductor")}
	case store.ImageNotAuthorized:
		return []finding{{levelFail, "Glance does not accept this conductor's credentials",
			"correct the credentials in [glance]; the account needs the role of a service or an administrator"}}
	}
	if err == nil {
		err = fmt.Errorf("%s claims to hold every image: it is not Glance", cfg.Glance.EndpointOverride)
	}
	return []finding{{levelFail, err.Error(), "start Glance and Keystone, or correct [glance]"}}
}

// apiVersions are the newest API versions (1.x) of ironic's releases, of those where it is known.
var apiVersions = []struct {
	release messaging.Release
	minor   int
}{{messaging.V2023_1, 82}, {messaging.V2023_2, 87}, {messaging.V2024_1, 90}, {messaging.V2024_2, 93},
	{messaging.V2025_1, 96}, {messaging.V2025_2, 101}, {messaging.V2026_1, 111}, {messaging.Newest, 115}}

func (c *checker) checkAPI(ctx context.Context) []finding {
	const remedy = "start ironic-api, or correct [service_catalog]endpoint_override or the credentials there: agents call " +
		"back at this address"
	address, err := apiAddress(ctx, c.first)
	if err != nil {
		return []finding{{levelFail, "its address is not known: " + err.Error(), remedy}}
	}
	minor, err := newestAPIVersion(ctx, c.first.Catalog.Auth, address)
	if err != nil {
		return []finding{{levelFail, err.Error(), remedy}}
	}
	found := okay("%s speaks up to version 1.%d", address, minor)
	release, err := c.release()
	if err != nil || c.first.Default.PinReleaseVersion != "" {
		return []finding{found}
	}
	var speaks, schema messaging.Release
	for _, v := range apiVersions {
		if v.minor <= minor {
			speaks = v.release
		}
		if v.release <= release {
			schema = v.release
		}
	}
	if speaks != schema {
		found.level = levelWarn
		found.text += fmt.Sprintf(", which is not that of ironic %s, to which the database belongs", release)
		found.remedy = "finish the upgrade of ironic-api, or set [DEFAULT]pin_release_version here to what it is pinned to"
	}
	return []finding{found}
}

// apiAddress is where agents reach ironic-api.
func apiAddress(ctx context.Context, s *config.Settings) (string, error) {
	if address := firstOf(s.Deploy.ExternalCallbackURL, s.Catalog.EndpointOverride, s.API.PublicEndpoint); address != "" {
		return address, nil
	}
	if s.Catalog.Auth.URL == "" {
		return "", errors.New("[service_catalog] has neither endpoint_override nor credentials to look it up with")
	}
	return image.FindEndpoint(ctx, serviceConfig("service_catalog", s.Catalog.Auth, s.Catalog.ServiceType))
}

// newestAPIVersion asks ironic-api, which answers this to everybody.
func newestAPIVersion(ctx context.Context, auth config.Auth, address string) (int, error) {
	shown := image.Redact(address)
	versions := strings.TrimSuffix(strings.TrimRight(address, "/"), "/v1") + "/v1"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, versions, nil)
	if err != nil {
		return 0, fmt.Errorf("%s is not a URL", shown)
	}
	trust := &tls.Config{InsecureSkipVerify: auth.Insecure}
	if auth.CAFile != "" {
		pem, err := os.ReadFile(auth.CAFile)
		if err != nil {
			return 0, fmt.Errorf("reading [service_catalog]cafile: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		trust.RootCAs.AppendCertsFromPEM(pem)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		var unreachable *url.Error
		if errors.As(err, &unreachable) {
			err = unreachable.Err // The URL around it may hold a password.
		}
		return 0, fmt.Errorf("ironic-api at %s cannot be reached: %w", shown, err)
	}
	defer response.Body.Close()
	text, ok := strings.CutPrefix(response.Header.Get("X-OpenStack-Ironic-API-Maximum-Version"), "1.")
	minor, err := strconv.Atoi(text)
	if !ok || err != nil {
		return 0, fmt.Errorf("%s answers %s, but not as ironic-api does", shown, response.Status)
	}
	return minor, nil
}

// checkVersions compares this conductor with those that are online.
func (c *checker) checkVersions(ctx context.Context) []finding {
	db, err := c.database()
	if err != nil {
		return []finding{{levelWarn, "not known without the database", "see above"}}
	}
	s, _, release, err := c.settings(ctx)
	if err != nil {
		return configProblems(err)
	}
	pin, err := pinnedRelease(s.Default)
	if err != nil {
		return configProblems(err)
	}
	codec, err := objects.New(release, pin)
	if err != nil {
		return []finding{{levelFail, err.Error(), "correct [DEFAULT]pin_release_version"}}
	}
	speaks := fmt.Sprintf("this conductor speaks as ironic %s does (RPC %s)", release, release.RPCVersion())
	if pin != 0 {
		speaks += ", pinned to " + pin.String()
	}
	host, err := conductorHost(s, release)
	if err != nil {
		return configProblems(err)
	}
	members, err := db.OnlineConductors(ctx, s.Conductor.HeartbeatTimeout)
	if err != nil {
		return []finding{{levelFail, "reading the conductors: " + err.Error(), "let the account read the table conductors"}}
	}
	all := []finding{okay("%s; %s online", speaks, plural(len(members), "conductor is", "conductors are"))}
	for _, m := range members {
		all = append(all, peerFindings(ctx, db, m, host, s, codec.Version("Conductor"))...)
	}
	return all
}

// peerFindings tells what is wrong with a conductor that is online. host is this one's name, own its version.
func peerFindings(ctx context.Context, db *sql.DB, m ring.Member, host string, s *config.Settings, own string) []finding {
	if m.Hostname == host {
		if health, err := askHealth(ctx, dialAddress(s.Ironmaster.AdminListen)); err == nil && health.Host == m.Hostname {
			return []finding{okay("%s is online: it is the Ironmaster on this machine", m.Hostname)}
		}
		return []finding{{levelWarn, fmt.Sprintf("a conductor named %s is online, and is no Ironmaster on this machine", m.Hostname),
			"stop ironic-conductor before you start Ironmaster, or give one of them another [DEFAULT]host"}}
	}
	peer, err := db.Conductor(ctx, m.Hostname)
	if err != nil {
		return []finding{{levelWarn, fmt.Sprintf("reading conductor %s: %v", m.Hostname, err), "run the check again"}}
	}
	if !slices.Contains([]string{"", own}, peer.Version) {
		return []finding{{levelWarn, fmt.Sprintf("conductor %s writes its row in version %s, this one in %s", m.Hostname,
			peer.Version, own), "during an upgrade set [DEFAULT]pin_release_version to the older release; else upgrade the other"}}
	}
	return nil
}
