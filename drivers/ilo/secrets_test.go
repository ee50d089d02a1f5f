package ilo_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// quoting refuses each change and quotes it, as BMCs do that say which value does not fit.
func quoting(_ *redfishtest.Tree, _, _ string, body redfishtest.Object) (int, redfishtest.Object, bool) {
	return http.StatusBadRequest, redfishtest.Object{"error": redfishtest.Object{"code": "Base.1.0", "message": fmt.Sprint("not ", body)}}, true
}

func TestSecretsThatAnILORefusesDoNotShow(t *testing.T) {
	tr := redfishtest.Open(t, trees["iLO 5"], quoting)
	tr.Set("/redfish/v1/AccountService/Accounts/1", redfishtest.Object{"UserName": redfishtest.User})
	x, _ := task(t, tr, config())
	x.Node.CleanStep = store.Dict{"step": "x"}
	for step, args := range map[string]store.Dict{"activate_license": {"ilo_license_key": "L1C3N5E"}, "reset_ilo_credential": {"ilo_password": "L1C3N5E"}} {
		_, err := run(t, x.Hardware.Management, x, drivers.CleanStep, step, args)
		redfishtest.WantError(t, err, store.NodeCleaningFailure, "Step "+step+" failed on node node-1", "not map[", ":***]")
		if strings.Contains(err.Error(), "L1C3N5E") {
			t.Errorf("the secret is in %v", err)
		}
	}
}
