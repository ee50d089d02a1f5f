package ilo

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// stepErase is the clean step by which controllers erase their drives.
const stepErase = "erase_devices"

// medium is a kind of drives, which are erased by themselves: both kinds share what a controller is asked by.
type medium struct {
	// key is its name in the step's argument, shown that of the iLO.
	key, shown string
	// mark tells, in driver_internal_info, that its drives were asked to be erased, as upstream has it.
	mark, fallback string
	patterns       []string
}

var media = []medium{
	{"hdd", "HDD", "ilo_disk_erase_hdd_check", "overwrite", []string{"overwrite", "crypto", "zero"}},
	{"ssd", "SSD", "ilo_disk_erase_ssd_check", "block", []string{"block", "crypto", "zero"}},
}

// keyErasing tells that the drives are being erased, and that nothing else is to come.
const keyErasing = "ironmaster_ilo_erasing"

// erasePatterns are what an iLO calls them.
var erasePatterns = map[string]string{"block": "SanitizeRestrictedBlockErase", "overwrite": "SanitizeRestrictedOverwrite",
	"crypto": "SanitizeRestrictedCryptoScramble", "zero": "OnePass"}

// softwareRAID are the controllers that erase nothing.
var softwareRAID = regexp.MustCompile(`^HPE Smart Array S[0-9]{3}`)

func (m *Management5) eraseStep() drivers.Step {
	return drivers.Step{Interface: drivers.TypeManagement, Name: stepErase, RequiresRamdisk: true, Run: m.erase, Resume: m.resumeErase,
		Args: map[string]drivers.StepArg{"erase_pattern": {Description: "Dictionary of disk type and corresponding erase pattern to be used to " +
			`perform specific out-of-band sanitize disk erase. Supported values are, for "hdd": ("overwrite", "crypto", "zero"), for "ssd": ` +
			`("block", "crypto", "zero"). Default pattern is: {"hdd": "overwrite", "ssd": "block"}.`}}}
}

// patternsOf reads the argument of the step.
func patternsOf(n *store.Node, args store.Dict) (map[string]string, error) {
	chosen := map[string]string{}
	for _, one := range media {
		chosen[one.key] = one.fallback
	}
	given, ok := args["erase_pattern"]
	if !ok {
		return chosen, nil
	}
	asked, isDict := given.(map[string]any)
	valid := isDict
	clear(chosen)
	for key, pattern := range asked {
		text, _ := pattern.(string)
		i := slices.IndexFunc(media, func(one medium) bool { return one.key == key })
		valid = valid && i >= 0 && slices.Contains(media[max(i, 0)].patterns, text)
		chosen[key] = text
	}
	if !valid {
		return nil, store.Errorf(store.InvalidParameterValue, "Erase pattern '%s' is invalid. Clean step 'erase_devices' is not executed for "+
			"%s. Supported patterns are, for 'hdd': ('overwrite', 'crypto', 'zero') and for 'ssd': ('block', 'crypto', 'zero'). Ex. {'hdd': "+
			"'overwrite', 'ssd': 'block'}", store.PythonText(given), n.UUID)
	}
	return chosen, nil
}

// erase asks for one kind of drives after the other, with a restart of the machine after each, and then waits until all are erased.
//
// Crash windows: until the mark of a kind is saved nothing has restarted the machine, so that it can be asked for again; afterwards
// resumeErase restarts a machine that was not yet. A restart while drives are erased does not end that.
func (m *Management5) erase(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	patterns, err := patternsOf(t.Node, args)
	if err != nil {
		return drivers.Done, err
	}
	info, erases := t.Node.DriverInternalInfo, false
	for _, one := range media {
		if info.Bool(one.mark, false) {
			erases = true
			continue
		}
		asked := false
		err := m.onStorage(ctx, t, func(a *smartStorage) (err error) {
			asked, err = a.askToErase(t, one, patterns[one.key])
			return err
		})
		if err != nil {
			return drivers.Done, m.eraseFailed(t, err)
		}
		if !asked {
			continue
		}
		info[one.mark] = true
		drivers.AsyncStep{}.Note(t.Node)
		if err := t.Worker.Save(ctx, t); err != nil {
			return drivers.Done, err
		}
		return restart(ctx, t, eraseMarks()...)
	}
	if !erases {
		t.Log.Info().Msg("No drive was found that the iLO could erase")
		return drivers.Done, nil
	}
	info[keyErasing] = true
	drivers.NotePolling(t.Node, false)
	return drivers.Waiting, t.Worker.Save(ctx, t)
}

func (m *Management5) resumeErase(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	if m.erasing(t.Node) {
		return drivers.Waiting, nil
	}
	marked := slices.ContainsFunc(media, func(one medium) bool { return t.Node.DriverInternalInfo.Bool(one.mark, false) })
	if !marked || !drivers.RebootDue(t.Node) {
		return m.erase(ctx, t, args)
	}
	starts := false
	err := m.bmcs.Do(ctx, t, stepErase, func(s *redfish.System) error {
		state := readExtension(s).PostState
		starts = slices.Contains(postRunning, state) && state != postFinished
		return nil
	})
	if err != nil || starts {
		return drivers.Waiting, err
	}
	return restart(ctx, t, eraseMarks()...)
}

func (m *Management5) onStorage(ctx context.Context, t *drivers.Task, do func(*smartStorage) error) error {
	return m.bmcs.Do(ctx, t, stepErase, func(s *redfish.System) error {
		a, err := readStorage(s)
		if err == nil {
			err = do(a)
		}
		return err
	})
}

// eraseFailed makes what an iLO refuses the end of the cleaning.
func (*Management5) eraseFailed(t *drivers.Task, err error) error {
	if store.KindOf(err) != store.IloOperationError {
		return err
	}
	forgetErasing(t.Node)
	return &drivers.StepFailure{Text: err.Error()}
}

func eraseMarks() []string {
	var marks []string
	for _, one := range media {
		marks = append(marks, one.mark)
	}
	return marks
}

func forgetErasing(n *store.Node) {
	for _, key := range append(eraseMarks(), keyErasing) {
		delete(n.DriverInternalInfo, key)
	}
}

func (*Management5) erasing(n *store.Node) bool { return n.DriverInternalInfo.Bool(keyErasing, false) }

// pollErasing looks whether all drives are erased.
func (m *Management5) pollErasing(ctx context.Context, t *drivers.Task) (done bool, err error) {
	err = m.onStorage(ctx, t, func(a *smartStorage) error {
		done = true
		return a.eachToErase(t, func(_ *storageConfig, drives []physicalDrive) error {
			for _, d := range drives {
				done = done && slices.Contains(d.DiskDriveStatusReasons, "EraseCompleted")
			}
			return nil
		})
	})
	if err == nil && done {
		forgetErasing(t.Node)
	}
	return done && err == nil, err
}

// eachToErase visits the controllers with those of their drives that no array is made of.
func (a *smartStorage) eachToErase(t *drivers.Task, visit func(*storageConfig, []physicalDrive) error) error {
	used := a.inArrays()
	for _, controller := range a.controllers {
		config := a.config(controller)
		if softwareRAID.MatchString(controller.Model) || config == nil {
			t.Log.Warn().Str("controller", controller.Model).Msg("The controller erases no drives, which are left as they are")
			continue
		}
		drives, err := a.drives(controller)
		if err != nil {
			return fmt.Errorf("reading the drives of %s: %w", controller.Model, err)
		}
		drives = slices.DeleteFunc(drives, func(d physicalDrive) bool { return used[d.Location] })
		if err := visit(config, drives); err != nil {
			return err
		}
	}
	return nil
}

// askToErase asks for the erasing of one kind of drives at the next start. It tells whether there are any. A pattern of "" is that which fits
// the kind.
func (a *smartStorage) askToErase(t *drivers.Task, kind medium, pattern string) (asked bool, err error) {
	if pattern == "" {
		pattern = kind.fallback
	}
	err = a.eachToErase(t, func(config *storageConfig, drives []physicalDrive) error {
		var where []any
		for _, d := range drives {
			if d.MediaType == kind.shown {
				where = append(where, d.Location)
			}
		}
		if len(where) == 0 {
			return nil
		}
		asked = true
		return a.change(config, http.MethodPatch, map[string]any{"DataGuard": "Disabled", "Actions": []any{map[string]any{
			"Action": "PhysicalDriveErase", "ErasePattern": erasePatterns[pattern], "PhysicalDriveList": where}}})
	})
	return asked, err
}
