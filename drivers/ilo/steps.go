package ilo

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Steps are those that an iLO carries out itself. In cleaning they have the priorities of [ilo], which run some of them by default; in a
// deployment they run when they are asked for.
func (m *Management) Steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.CleanStep && kind != drivers.DeployStep {
		return nil
	}
	password := map[string]drivers.StepArg{"ilo_password": {Required: true, Description: "Password string for iLO user with " +
		"administrative privileges being set in the driver_info property \"ilo_username\"."}}
	steps := []drivers.Step{
		{Name: "reset_ilo", Run: m.step("reset_ilo", m.resetILO)},
		{Name: "reset_ilo_credential", Run: m.resetCredential, Resume: m.resumeCredential},
		{Name: "reset_bios_to_default", Run: m.step("reset_bios_to_default", resetBIOS)},
		{Name: "reset_secure_boot_keys_to_default", Run: m.step("reset_secure_boot_keys", resetKeys)},
		{Name: "clear_secure_boot_keys", Run: m.step("clear_secure_boot_keys", clearKeys)},
	}
	for i := range steps {
		steps[i].Interface, steps[i].RequiresRamdisk, steps[i].Abortable = drivers.TypeManagement, true, false
		if kind == drivers.CleanStep {
			steps[i].Priority = m.cfg.Priorities[steps[i].Name]
		} else if steps[i].Name == "reset_ilo_credential" {
			steps[i].Args = password
		}
	}
	steps = append(steps, m.flashStep(), m.sumStep(kind))
	if kind == drivers.CleanStep {
		steps = append(steps, drivers.Step{Interface: drivers.TypeManagement, Name: "activate_license", RequiresRamdisk: true,
			Run: m.activateLicense, Args: map[string]drivers.StepArg{"ilo_license_key": {Required: true,
				Description: "The HPE iLO Advanced license key to activate enterprise features."}}})
		steps = append(steps, m.securitySteps()...)
		steps = append(steps, m.certificateSteps()...)
	}
	return steps
}

// lacking is a machine that has no such thing: the step is left out and the flow goes on, as in ironic.
type lacking struct{ what string }

func (e *lacking) Error() string { return e.what }

// step makes a step of what is done to a system. Each of these may be done twice.
func (m *Management) step(name string, do func(context.Context, *redfish.System, *drivers.Task) error) func(context.Context,
	*drivers.Task, store.Dict) (drivers.Outcome, error) {
	return func(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
		return drivers.Done, m.carryOut(ctx, t, name, func(s *redfish.System) error { return do(ctx, s, t) })
	}
}

func (m *Management) carryOut(ctx context.Context, t *drivers.Task, name string, do func(*redfish.System) error) error {
	var left *lacking
	err := m.bmcs.Do(ctx, t, name, func(s *redfish.System) error {
		err := do(s)
		var none *noFirmware
		if errors.As(err, &none) {
			err = &lacking{none.Error()}
		}
		if errors.As(err, &left) {
			return nil
		}
		return err
	})
	if left != nil {
		t.Log.Warn().Str("step", name).Str("reason", left.what).Msg("the step is not supported on this machine and left out")
	}
	return stepFailed(t, name, err)
}

// stepFailed words the failure of a step as ironic does.
func stepFailed(t *drivers.Task, name string, err error) error {
	if store.KindOf(err) != store.IloOperationError {
		return err
	}
	kind := store.InstanceDeployFailure
	if len(t.Node.CleanStep) > 0 {
		kind = store.NodeCleaningFailure
	}
	return store.Errorf(kind, "Step %s failed on node %s with error: %w", name, t.Node.UUID, err)
}

// resetILO restarts the iLO and waits until it answers again. The machine runs on: its agent needs its boot ISO no more.
func (m *Management) resetILO(ctx context.Context, s *redfish.System, t *drivers.Task) error {
	managers, err := s.Managers()
	if err != nil {
		return err
	}
	for _, manager := range managers {
		if manager.ManagerType != schemas.BMCManagerType {
			continue
		}
		var raw struct {
			Actions map[string]struct {
				Target string `json:"target"`
			}
		}
		if err := s.Read(manager.ODataID, &raw); err != nil {
			return err
		}
		target := raw.Actions["#Manager.Reset"].Target
		if target == "" {
			return &lacking{"the iLO has no action to be reset by"}
		}
		if _, err := s.Act(target, struct{}{}); err != nil {
			return err
		}
		return m.awaitILO(ctx, s, t)
	}
	return &lacking{"no manager is a BMC"}
}

// restart restarts the machine in the middle of a step, which marks in driver_internal_info tell. A flow that ends because the machine was not
// restarted leaves none behind: the same step of the next flow would take itself for half done.
func restart(ctx context.Context, t *drivers.Task, marks ...string) (drivers.Outcome, error) {
	err := drivers.RebootToFinish(ctx, t)
	if err != nil && ctx.Err() == nil {
		for _, mark := range marks {
			delete(t.Node.DriverInternalInfo, mark)
		}
	}
	return drivers.Waiting, err
}

// awaitILO waits until an iLO that restarts answers again.
func (m *Management) awaitILO(ctx context.Context, s *redfish.System, t *drivers.Task) error {
	t.Worker.Report(t, drivers.Progress{Doing: "waiting for the iLO to come back", Waiting: true})
	// It answers for some seconds more.
	if err := drivers.Pause(ctx, m.cfg.ResetPause); err != nil {
		return err
	}
	back, err := s.Await(m.cfg.PowerTimeout, m.cfg.PowerWait, func() bool { return true })
	if err == nil && !back {
		return reason("iLO is not up after reset.")
	}
	return err
}

func resetBIOS(_ context.Context, s *redfish.System, _ *drivers.Task) error {
	f, err := readFirmware(s)
	if err != nil {
		return err
	}
	return f.reset(s)
}

func resetKeys(_ context.Context, s *redfish.System, _ *drivers.Task) error {
	return changeKeys(s, schemas.ResetAllKeysToDefaultResetKeysType, "ResetToDefaultKeys")
}

func clearKeys(_ context.Context, s *redfish.System, _ *drivers.Task) error {
	return changeKeys(s, schemas.DeleteAllKeysResetKeysType, "ResetAllKeys")
}

// changeKeys uses the standard's action, or the property that iLO 4 has in its place.
func changeKeys(s *redfish.System, kind schemas.ResetKeysType, property string) error {
	mode, err := currentMode(s)
	if err != nil {
		return err
	}
	if mode != store.BootModeUEFI {
		return &lacking{`System is not in UEFI boot mode. "SecureBoot" related resources cannot be changed.`}
	}
	state, path, err := readSecureBoot(s)
	switch target := state.Actions["#SecureBoot.ResetKeys"].Target; {
	case err != nil:
		return err
	case path == "":
		return &lacking{`"SecureBoot" resource or feature is not supported on this system`}
	case target != "":
		_, err := s.Act(target, map[string]any{"ResetKeysType": kind})
		return err
	}
	return s.Change(path, map[string]bool{property: true})
}

// keyNewPassword is the driver_info key with the password that cleaning sets.
const keyNewPassword = "ilo_change_password"

func newPassword(t *drivers.Task, args store.Dict) string {
	for _, key := range []string{"change_password", "ilo_password"} {
		if password := args.String(key); password != "" {
			return password
		}
	}
	return t.Node.DriverInfo.String(keyNewPassword)
}

// resetCredential gives the account in driver_info another password, and driver_info too.
func (m *Management) resetCredential(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	password := newPassword(t, args)
	if password == "" {
		t.Log.Info().Msg("driver_info has no ilo_change_password; reset_ilo_credential is left out")
		return drivers.Done, nil
	}
	err := m.carryOut(ctx, t, "reset_ilo_credential", func(s *redfish.System) error {
		s.Hide(password)
		account, err := findAccount(s, t.Node.DriverInfo.String("ilo_username"))
		if err != nil {
			return err
		}
		return s.Change(account, map[string]string{"Password": password})
	})
	if err != nil {
		return drivers.Done, err
	}
	return drivers.Done, m.rememberPassword(ctx, t, password)
}

// resumeCredential looks whether the new password is good already: a worker may have died before it wrote that down.
func (m *Management) resumeCredential(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	password := newPassword(t, args)
	if password == "" {
		return drivers.Done, nil
	}
	node := *t.Node
	node.DriverInfo = maps.Clone(t.Node.DriverInfo)
	node.DriverInfo["ilo_password"] = password
	try := *t
	try.Node = &node
	if m.bmcs.Do(ctx, &try, "reset_ilo_credential", func(*redfish.System) error { return nil }) == nil {
		return drivers.Done, m.rememberPassword(ctx, t, password)
	}
	return m.resetCredential(ctx, t, args)
}

func (m *Management) rememberPassword(ctx context.Context, t *drivers.Task, password string) error {
	t.Node.DriverInfo["ilo_password"] = password
	delete(t.Node.DriverInfo, keyNewPassword)
	return t.Worker.Save(ctx, t)
}

// findAccount is the path of a user's account.
func findAccount(s *redfish.System, user string) (string, error) {
	var service struct{ Accounts hpLink }
	if err := s.Read("/redfish/v1/AccountService/", &service); err != nil {
		return "", err
	}
	var accounts struct{ Members []hpLink }
	if err := s.Read(service.Accounts.path(), &accounts); err != nil {
		return "", err
	}
	for _, one := range accounts.Members {
		var account struct{ UserName string }
		if err := s.Read(one.path(), &account); err != nil {
			return "", err
		}
		if account.UserName == user {
			return one.path(), nil
		}
	}
	return "", reason("No account found with username: " + user)
}

// activateLicense hands a license key to the iLO.
func (m *Management) activateLicense(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	key, isText := args["ilo_license_key"].(string)
	if !isText {
		return drivers.Done, store.Errorf(store.InvalidParameterValue, "Value of 'ilo_license_key' must be a string instead of '%s'. "+
			"Step 'activate_license' is not executed for %s.", store.PythonText(args["ilo_license_key"]), t.Node.UUID)
	}
	return drivers.Done, m.carryOut(ctx, t, "activate_license", func(s *redfish.System) error {
		s.Hide(key)
		_, err := s.Act("/redfish/v1/Managers/1/LicenseService/", map[string]string{"LicenseKey": key})
		if redfish.Refused(err) == http.StatusNotFound {
			return &lacking{"the iLO has no LicenseService"}
		}
		return err
	})
}
