package ilo

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

const (
	stepClearCAs = "clear_ca_certificates"
	// markClearCAs tells, in driver_internal_info, that the machine restarts for the step, as upstream has it.
	markClearCAs = "clear_ca_certs_flag"
)

func (m *Management5) clearCAStep() drivers.Step {
	return drivers.Step{Interface: drivers.TypeManagement, Name: stepClearCAs, RequiresRamdisk: true, Run: m.clearCAs,
		Resume: m.resumeClearCAs,
		Args: map[string]drivers.StepArg{"certificate_files": {Required: true, Description: "The list of files containing the certificates to be " +
			"cleared. If empty list is specified, all the certificates on the ilo will be cleared, except the certificates in the file " +
			"configured with configuration parameter 'webserver_verify_ca' are spared as they are required for booting the deploy image for " +
			"some boot interfaces."}}}
}

// clearCAs takes certificates from those that the firmware of the machine trusts, and restarts the machine for it. It may be done twice: a
// certificate that is gone already is none to take.
func (m *Management5) clearCAs(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	info := t.Node.DriverInternalInfo
	if info.Bool(markClearCAs, false) {
		delete(info, markClearCAs)
		return drivers.Done, t.Worker.Save(ctx, t)
	}
	var files []string
	for _, item := range args.List("certificate_files") {
		file, ok := item.(string)
		if !ok {
			return drivers.Done, store.Errorf(store.InvalidParameterValue, "certificate_files: %s is no path.", store.PythonRepr(item))
		}
		files = append(files, file)
	}
	if err := m.takeCAs(ctx, t, files); err != nil {
		kind := store.KindOf(err)
		if kind != store.IloOperationError && kind != store.IloOperationNotSupported {
			return drivers.Done, err
		}
		return drivers.Done, store.Errorf(store.NodeCleaningFailure, "Step 'clear_ca_certificates' failed on node %s with error: %w", t.Node.UUID, err)
	}
	info[markClearCAs] = true
	drivers.AsyncStep{}.Note(t.Node)
	if err := t.Worker.Save(ctx, t); err != nil {
		return drivers.Done, err
	}
	return restart(ctx, t, markClearCAs)
}

// resumeClearCAs restarts a machine whose worker died about the restart: another one does no harm.
func (m *Management5) resumeClearCAs(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	if t.Node.DriverInternalInfo.Bool(markClearCAs, false) && drivers.RebootDue(t.Node) {
		return restart(ctx, t, markClearCAs)
	}
	return m.clearCAs(ctx, t, args)
}

func (m *Management5) takeCAs(ctx context.Context, t *drivers.Task, files []string) error {
	operation := "Clearing certificates from node " + t.Node.UUID + "."
	spared, err := fingerprints(m.spared())
	if err != nil {
		return operationFailed(operation, err.Error())
	}
	named, err := fingerprints(files)
	if err != nil {
		return operationFailed(operation, err.Error())
	}
	return m.bmcs.Do(ctx, t, operation, func(s *redfish.System) error {
		f, err := readFirmware(s)
		switch {
		case err != nil:
			return err
		case f.mode() != store.BootModeUEFI:
			return notSupported(operation, "TLS certificates cannot be removed in BIOS boot mode")
		case f.tls == "":
			return reason("The BIOS shows no certificates.")
		}
		var tls struct {
			Certificates []struct{ FingerPrint string }
			Settings     struct {
				Object hpLink `json:"SettingsObject"`
			} `json:"@Redfish.Settings"`
		}
		if err := s.Read(f.tls, &tls); err != nil {
			return err
		}
		if len(files) == 0 {
			for _, one := range tls.Certificates {
				named[one.FingerPrint] = true
			}
		}
		maps.DeleteFunc(named, func(print string, _ bool) bool { return spared[print] })
		if len(named) == 0 {
			return reason("No valid certificate in " + store.PythonRepr(asAny(files)) + ".")
		}
		var all []any
		for _, print := range slices.Sorted(maps.Keys(named)) {
			all = append(all, map[string]string{"FingerPrint": print})
		}
		_, err = s.Send(http.MethodPut, tls.Settings.Object.path(), map[string]any{"DeleteCertificates": all})
		return err
	})
}

// spared are the files with certificates that machines need to boot.
func (m *Management5) spared() []string {
	if m.cfg.WebserverCA == "" {
		return nil
	}
	return []string{m.cfg.WebserverCA}
}

func asAny(texts []string) []any {
	all := make([]any, len(texts))
	for i, text := range texts {
		all[i] = text
	}
	return all
}
