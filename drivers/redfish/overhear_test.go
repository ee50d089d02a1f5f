package redfish_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
)

func TestExchangesAreOverheardWithoutSecrets(t *testing.T) {
	b := newBMC(t)
	c := redfish.New(quick(), zerolog.Nop())
	x, _ := task(c, b.url)
	var heard []drivers.Exchange
	ctx := drivers.Overheard(t.Context(), func(e drivers.Exchange) { heard = append(heard, e) })
	if _, err := x.Hardware.Power.PowerState(ctx, x); err != nil {
		t.Fatal(err)
	}
	if err := x.Hardware.Management.SetBootDevice(ctx, x, "pxe", false); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	y, _ := task(open(t, quick()), gone.URL)
	if _, err := y.Hardware.Power.PowerState(ctx, y); err == nil {
		t.Fatal("a BMC that is gone answered")
	}
	var lines []string
	for _, e := range heard {
		lines = append(lines, fmt.Sprintf("%s: %s %s %v", e.With, e.Asked, e.Answer, e.Err))
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"bmc: POST /redfish/v1/SessionService/Sessions HTTP 201 <nil>", "bmc: GET /redfish/v1/Systems/1 HTTP 200 <nil>",
		"bmc: PATCH /redfish/v1/Systems/1 HTTP 2", "bmc: DELETE /redfish/v1/SessionService/Sessions/... HTTP 2", "Unable to connect to " + gone.URL} {
		if !strings.Contains(text, want) {
			t.Errorf("%q was not heard in\n%s", want, text)
		}
	}
	for _, secret := range []string{password, user} {
		if strings.Contains(text, secret) {
			t.Errorf("%q was heard in\n%s", secret, text)
		}
	}
}
