package ilo_test

import (
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

func securityStep(t *testing.T, x *drivers.Task, name string, args store.Dict) error {
	t.Helper()
	x.Node.CleanStep = store.Dict{"interface": "management", "step": name}
	for _, s := range x.Hardware.Management.Steps(drivers.CleanStep) {
		if s.Name == name {
			_, err := s.Run(t.Context(), x, args)
			return err
		}
	}
	t.Fatalf("no step %s", name)
	return nil
}

const paramsAt = "/redfish/v1/Managers/1/SecurityService/SecurityDashboard/SecurityParams/"

func TestSecurityParameters(t *testing.T) {
	for _, c := range []struct {
		step string
		args store.Dict
		want []string
	}{
		{"security_parameters_update", store.Dict{"security_parameters": []any{
			map[string]any{"param": "password_complexity"}, map[string]any{"param": "require_login_for_ilo_rbsu", "enable": "false", "ignore": "true"},
			map[string]any{"param": "ipmi_over_lan", "enable": false}, map[string]any{"param": "require_host_authentication"}}}, []string{
			"PATCH " + paramsAt + `6 {"Ignore":false}`, `PATCH /redfish/v1/AccountService/ {"Oem":{"Hpe":{"EnforcePasswordComplexity":true}}}`,
			"PATCH " + paramsAt + `3 {"Ignore":true}`, `PATCH /redfish/v1/Managers/1 {"Oem":{"Hpe":{"RequiredLoginForiLORBSU":false}}}`,
			"PATCH " + paramsAt + `1 {"Ignore":false}`, `PATCH /redfish/v1/Managers/1/NetworkProtocol {"IPMI":{"ProtocolEnabled":false}}`,
			"PATCH " + paramsAt + `8 {"Ignore":false}`, `PATCH /redfish/v1/Managers/1 {"Oem":{"Hpe":{"RequireHostAuthentication":true}}}`}},
		{"security_parameters_update", store.Dict{"security_parameters": []any{map[string]any{"param": "secure_boot"}}}, []string{
			"PATCH " + paramsAt + `5 {"Ignore":false}`, `PATCH /redfish/v1/Systems/1/SecureBoot/ {"SecureBootEnable":true}`}},
		{"update_minimum_password_length", store.Dict{"password_length": 10, "ignore": true}, []string{
			"PATCH " + paramsAt + `2 {"Ignore":true}`, `PATCH /redfish/v1/AccountService/ {"Oem":{"Hpe":{"MinPasswordLength":10}}}`}},
		{"update_minimum_password_length", nil, []string{
			"PATCH " + paramsAt + `2 {"Ignore":false}`, `PATCH /redfish/v1/AccountService/ {"Oem":{"Hpe":{"MinPasswordLength":8}}}`}},
		{"update_auth_failure_logging_threshold", store.Dict{"logging_threshold": 5}, []string{
			"PATCH " + paramsAt + `4 {"Ignore":false}`, `PATCH /redfish/v1/AccountService/ {"Oem":{"Hpe":{"AuthFailureLoggingThreshold":5}}}`}},
	} {
		tr := redfishtest.Open(t, wholeMachine, machine)
		x, _ := task(t, tr, config())
		if err := securityStep(t, x, c.step, c.args); err != nil {
			t.Errorf("%s: %v", c.step, err)
		}
		wantChanges(t, tr, c.want...)
	}
}

func TestSecurityParametersThatAreRefused(t *testing.T) {
	tr := redfishtest.Open(t, wholeMachine, machine)
	x, _ := task(t, tr, config())
	one := func(info map[string]any) store.Dict { return store.Dict{"security_parameters": []any{info}} }
	for _, c := range []struct {
		step string
		args store.Dict
		kind store.Kind
		text string
	}{
		{"security_parameters_update", one(map[string]any{"enable": true}), store.MissingParameterValue,
			"Security parameter info: {'enable': True} is missing the required 'param' field."},
		{"security_parameters_update", one(map[string]any{"param": "x"}), store.InvalidParameterValue, "Security parameter 'x' is not a valid parameter. " +
			"Supported values are: password_complexity, require_login_for_ilo_rbsu, ipmi_over_lan, secure_boot, require_host_authentication"},
		{"security_parameters_update", store.Dict{"security_parameters": map[string]any{"param": "secure_boot"}}, store.InvalidParameterValue,
			"security_parameters is {'param': 'secure_boot'}, and is to be a list."},
		{"update_minimum_password_length", store.Dict{"password_length": 40}, store.NodeCleaningFailure,
			"Step update_minimum_password_length failed on node node-1 with error: "},
		{"update_auth_failure_logging_threshold", store.Dict{"logging_threshold": "often"}, store.NodeCleaningFailure,
			`The parameter "AuthFailureLoggingThreshold" value "often" is invalid. Valid values are: [0, 1, 2, 3, 5]`},
	} {
		redfishtest.WantError(t, securityStep(t, x, c.step, c.args), c.kind, c.text)
	}
	wantChanges(t, tr)
	// An iLO without a dashboard does not do the step, and goes on.
	tr.Remove("/redfish/v1/Managers/1/SecurityService")
	if err := securityStep(t, x, "update_minimum_password_length", nil); err != nil || len(tr.Changes()) != 0 {
		t.Errorf("%v", err)
	}
	tr = redfishtest.Open(t, wholeMachine, machine)
	x, _ = task(t, tr, config())
	tr.Set(paramsAt, redfishtest.Object{"Members": []any{}})
	err := securityStep(t, x, "update_minimum_password_length", nil)
	if store.KindOf(err) != store.NodeCleaningFailure || !strings.Contains(err.Error(), "is not a Security Dashboard Parameter.") {
		t.Errorf("%v", err)
	}
}
