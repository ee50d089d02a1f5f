package wholeworker

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	accounts "github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// TestKeystone has ironic-api show tokens of a real Keystone, and tries others.
func TestKeystone(t *testing.T) {
	w := start(t, setup{database: "sqlite", transport: "json-rpc", keystone: true})
	var created node
	must(t, w.api.do(t.Context(), http.MethodPost, "/v1/nodes", map[string]any{"driver": "fake-hardware"}, &created))
	admin := w.login(t, "admin", lab.KeystonePassword)
	w.enrolUser(t, admin, "watcher", "reader")
	watcher := w.login(t, "watcher", lab.KeystonePassword)
	revoked := w.login(t, "admin", lab.KeystonePassword)
	identity, err := openstack.NewIdentityV3(admin, gophercloud.EndpointOpts{})
	must(t, err)
	_, err = identity.Delete(t.Context(), identity.ServiceURL("auth", "tokens"), &gophercloud.RequestOpts{
		MoreHeaders: map[string]string{"X-Subject-Token": revoked.Token()}, OkCodes: []int{http.StatusNoContent}})
	must(t, err)
	for name, c := range map[string]struct {
		token  string
		status int
	}{
		"an administrator": {admin.Token(), http.StatusOK},
		"a reader":         {watcher.Token(), http.StatusForbidden},
		"nobody":           {"", http.StatusUnauthorized},
		"a made-up token":  {"gAAAAA", http.StatusUnauthorized},
		"a revoked token":  {revoked.Token(), http.StatusUnauthorized},
	} {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","method":"get_boot_device","id":1,"params":{"node_id":%q,"context":{}}}`, created.UUID)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			fmt.Sprintf("http://%s:%d", w.host, w.lab.RPCPort), strings.NewReader(body))
		must(t, err)
		request.Close = true
		request.Header.Set("X-Auth-Token", c.token)
		response, err := http.DefaultClient.Do(request)
		must(t, err)
		response.Body.Close()
		if response.StatusCode != c.status {
			t.Errorf("%s is answered %d, want %d", name, response.StatusCode, c.status)
		}
	}
}

func (w *world) login(t *testing.T, name, password string) *gophercloud.ProviderClient {
	t.Helper()
	provider, err := openstack.AuthenticatedClient(t.Context(), gophercloud.AuthOptions{IdentityEndpoint: w.lab.KeystoneURL + "/v3",
		Username: name, Password: password, DomainID: "default",
		Scope: &gophercloud.AuthScope{ProjectName: "admin", DomainID: "default"}})
	must(t, err)
	t.Cleanup(provider.HTTPClient.CloseIdleConnections)
	return provider
}

// enrolUser makes a user with one role in the project admin.
func (w *world) enrolUser(t *testing.T, admin *gophercloud.ProviderClient, name, role string) {
	t.Helper()
	ctx := t.Context()
	identity, err := openstack.NewIdentityV3(admin, gophercloud.EndpointOpts{})
	must(t, err)
	user, err := accounts.Create(ctx, identity, accounts.CreateOpts{Name: name, Password: lab.KeystonePassword, DomainID: "default"}).Extract()
	must(t, err)
	page, err := projects.List(identity, projects.ListOpts{Name: "admin"}).AllPages(ctx)
	must(t, err)
	project, err := projects.ExtractProjects(page)
	must(t, err)
	page, err = roles.List(identity, roles.ListOpts{Name: role}).AllPages(ctx)
	must(t, err)
	found, err := roles.ExtractRoles(page)
	must(t, err)
	must(t, roles.Assign(ctx, identity, found[0].ID, roles.AssignOpts{UserID: user.ID, ProjectID: project[0].ID}).ExtractErr())
}
