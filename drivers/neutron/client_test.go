package neutron

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// A user's request is made with the user's token, the service's beside it; what only administrators may is done as the service.
func TestWhoseTokenIsUsed(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/v3/auth/tokens" {
			w.Header().Set("X-Subject-Token", "service")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"token": {"expires_at": "2099-01-01T00:00:00.000000Z", "catalog": []}}`)
			return
		}
		asked = append(asked, fmt.Sprintf("%s %s+%s %s", r.Method, r.Header.Get("X-Auth-Token"), r.Header.Get("X-Service-Token"),
			r.Header.Get("X-OpenStack-Request-ID")))
		fmt.Fprint(w, `{"port": {"id": "vif"}}`)
	}))
	defer server.Close()
	client, err := NewClient(ClientConfig{ServiceConfig: keystone.ServiceConfig{ServiceType: "network", EndpointOverride: server.URL,
		Config: keystone.Config{Group: "neutron", AuthType: keystone.AuthPassword, AuthURL: server.URL + "/v3", Username: "ironic",
			Password: "secret", UserDomainID: "default", ProjectName: "service", ProjectDomainID: "default"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, c := range []struct {
		task drivers.Task
		want []string
	}{
		{drivers.Task{AuthToken: "user", GlobalRequestID: "req-1"}, []string{"GET user+service req-1", "PUT service+ req-1"}},
		{drivers.Task{AuthToken: "user", SystemScope: true}, []string{"GET service+ ", "PUT service+ "}},
		{drivers.Task{}, []string{"GET service+ ", "PUT service+ "}},
	} {
		asked = nil
		if err := client.Update(t.Context(), &c.task, "vif", Attributes{"name": "x"}); err != nil || !slices.Equal(asked, c.want) {
			t.Errorf("asked %q, %v, want %q", asked, err, c.want)
		}
	}
}
