package ilo

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// securityParameter is one of the parameters of the security dashboard that steps change.
type securityParameter struct {
	name string
	// shown is a part of what the dashboard calls it.
	shown string
	// set changes what the parameter stands for.
	set func(ctx context.Context, m *Management, s *redfish.System, t *drivers.Task, value any) error
}

// securityParameters are those that a step names, in ironic's order.
var securityParameters = []securityParameter{
	{"password_complexity", "Password Complexity", inAccounts("EnforcePasswordComplexity")},
	{"require_login_for_ilo_rbsu", "Require Login", inManager("RequiredLoginForiLORBSU")},
	{"ipmi_over_lan", "IPMI", setIPMI},
	{"secure_boot", "Secure Boot", func(ctx context.Context, m *Management, _ *redfish.System, t *drivers.Task, on any) error {
		return m.SetSecureBoot(ctx, t, on == true)
	}},
	{"require_host_authentication", "Host Authentication", inManager("RequireHostAuthentication")},
}

var (
	passwordLength = securityParameter{"minimum_password_length", "Minimum", inAccounts("MinPasswordLength")}
	failureLogging = securityParameter{"authentication_failure_logging", "Failure Logging", inAccounts("AuthFailureLoggingThreshold")}
)

// The defaults of proliantutils, and what it lets through.
const (
	defaultPasswordLength   = 8
	longestPassword         = 39
	defaultLoggingThreshold = 1
)

var loggingThresholds = []int64{0, 1, 2, 3, 5}

// securitySteps are those of cleaning that change how safe an iLO is. Each may run twice.
func (m *Management) securitySteps() []drivers.Step {
	ignore := drivers.StepArg{Description: "This argument represents boolean parameter. If set 'True' the security parameters will be ignored by " +
		"iLO while computing the overall iLO security status. If not specified, default will be 'False'."}
	steps := []drivers.Step{
		{Name: "security_parameters_update", Run: m.updateParameters, Args: map[string]drivers.StepArg{"security_parameters": {Required: true,
			Description: "This argument represents the ordered list of JSON dictionaries of security parameters. Each security parameter consists " +
				"of three fields, namely 'param', 'ignore' and 'enable' from which 'param' field will be mandatory. These fields represent " +
				"security parameter name, ignore flag and state of the security parameter. The supported security parameter names are " +
				"'password_complexity', 'require_login_for_ilo_rbsu', 'ipmi_over_lan', 'secure_boot', 'require_host_authentication'. The security " +
				"parameters will be updated (in the order given) one by one on the baremetal server."}}},
		{Name: "update_minimum_password_length", Run: m.updatePasswordLength, Args: map[string]drivers.StepArg{"ignore": ignore,
			"password_length": {Description: "This argument represents the minimum password length that can be set for ilo. If not specified, " +
				"default will be 8."}}},
		{Name: "update_auth_failure_logging_threshold", Run: m.updateLogging, Args: map[string]drivers.StepArg{"ignore": ignore,
			"logging_threshold": {Description: "This argument represents the authentication failure logging threshold that can be set for ilo. If " +
				"not specified, default will be 1."}}},
	}
	for i := range steps {
		steps[i].Interface, steps[i].RequiresRamdisk = drivers.TypeManagement, true
	}
	return steps
}

func (m *Management) updateParameters(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	parameters, ok := args["security_parameters"].([]any)
	if !ok {
		return drivers.Done, store.Errorf(store.InvalidParameterValue, "security_parameters is %s, and is to be a list.",
			store.PythonRepr(args["security_parameters"]))
	}
	for _, item := range parameters {
		info := store.Dict{"item": item}.Dict("item")
		name := info.String("param")
		if name == "" {
			return drivers.Done, store.Errorf(store.MissingParameterValue, "Security parameter info: %s is missing the required 'param' field.",
				store.PythonRepr(item))
		}
		i := slices.IndexFunc(securityParameters, func(p securityParameter) bool { return p.name == name })
		if i < 0 {
			var names []string
			for _, p := range securityParameters {
				names = append(names, p.name)
			}
			return drivers.Done, store.Errorf(store.InvalidParameterValue, "Security parameter '%s' is not a valid parameter. Supported values are: %s",
				name, strings.Join(names, ", "))
		}
		if err := m.update(ctx, t, securityParameters[i], info.Bool("enable", true), info.Bool("ignore", false)); err != nil {
			return drivers.Done, err
		}
	}
	return drivers.Done, nil
}

func (m *Management) updatePasswordLength(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	length, known, err := args.Int("password_length")
	if !known {
		length = defaultPasswordLength
	}
	if err != nil || length < 0 || length > longestPassword {
		return drivers.Done, stepFailed(t, "update_"+passwordLength.name, badValue("MinPasswordLength", args["password_length"], "0 to 39"))
	}
	return drivers.Done, m.update(ctx, t, passwordLength, length, args.Bool("ignore", false))
}

func (m *Management) updateLogging(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	threshold, known, err := args.Int("logging_threshold")
	if !known {
		threshold = defaultLoggingThreshold
	}
	if err != nil || !slices.Contains(loggingThresholds, threshold) {
		return drivers.Done, stepFailed(t, "update_"+failureLogging.name, badValue("AuthFailureLoggingThreshold", args["logging_threshold"],
			"[0, 1, 2, 3, 5]"))
	}
	return drivers.Done, m.update(ctx, t, failureLogging, threshold, args.Bool("ignore", false))
}

func badValue(parameter string, value any, valid string) error {
	return operationFailed("Updating security parameters", fmt.Sprintf(`The parameter "%s" value "%s" is invalid. Valid values are: %s`, parameter,
		store.PythonText(value), valid))
}

// update has the dashboard look at a parameter or not, and changes what it stands for.
func (m *Management) update(ctx context.Context, t *drivers.Task, p securityParameter, value any, ignore bool) error {
	return m.carryOut(ctx, t, "update_"+p.name, func(s *redfish.System) error {
		if err := ignoreParameter(s, p, ignore); err != nil {
			return err
		}
		return p.set(ctx, m, s, t, value)
	})
}

func ignoreParameter(s *redfish.System, p securityParameter, ignore bool) error {
	board, err := securityDashboard(s)
	if err != nil {
		return err
	}
	members, err := membersAt(s, board.SecurityParameters)
	if err != nil {
		return err
	}
	for _, path := range members {
		var one struct{ Name string }
		if err := s.Read(path, &one); err != nil {
			return err
		}
		if strings.Contains(one.Name, p.shown) {
			return s.Change(path, map[string]bool{"Ignore": ignore})
		}
	}
	return reason(fmt.Sprintf("Specified parameter %q is not a Security Dashboard Parameter.", p.shown))
}

func hpe(property string, value any) map[string]any {
	return map[string]any{"Oem": map[string]any{"Hpe": map[string]any{property: value}}}
}

// inAccounts sets a property of the account service.
func inAccounts(property string) func(context.Context, *Management, *redfish.System, *drivers.Task, any) error {
	return func(_ context.Context, _ *Management, s *redfish.System, _ *drivers.Task, value any) error {
		return s.Change("/redfish/v1/AccountService/", hpe(property, value))
	}
}

// inManager sets a property of the iLO itself.
func inManager(property string) func(context.Context, *Management, *redfish.System, *drivers.Task, any) error {
	return func(_ context.Context, _ *Management, s *redfish.System, _ *drivers.Task, value any) error {
		manager, err := bmcOf(s)
		if err != nil {
			return err
		}
		return s.Change(manager.ODataID, hpe(property, value))
	}
}

func setIPMI(_ context.Context, _ *Management, s *redfish.System, _ *drivers.Task, value any) error {
	manager, err := bmcOf(s)
	if err != nil {
		return err
	}
	var links struct{ NetworkProtocol hpLink }
	if err := json.Unmarshal(manager.RawData, &links); err != nil || links.NetworkProtocol.path() == "" {
		return &lacking{"the iLO does not show its protocols"}
	}
	return s.Change(links.NetworkProtocol.path(), map[string]any{"IPMI": map[string]any{"ProtocolEnabled": value}})
}

// bmcOf is the iLO of a system.
func bmcOf(s *redfish.System) (*schemas.Manager, error) {
	managers, err := s.Managers()
	if err != nil {
		return nil, err
	}
	for _, m := range managers {
		if m.ManagerType == schemas.BMCManagerType {
			return m, nil
		}
	}
	return nil, &lacking{"no manager is a BMC"}
}
