package redfish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// ClockConfig says which steps set the clock of a BMC.
type ClockConfig struct {
	// Steps offers them, as ironic does since 31.0; Verified sets a clock that is wrong while its node is verified
	// ([redfish]enable_verify_bmc_clock).
	Steps, Verified bool
}

// clockSteps set the clock: to what a user says, or in verification to the worker's. They may run twice.
func (m *Management) clockSteps(kind drivers.StepKind) []drivers.Step {
	if m.bmcs.client == nil || m.bmcs.failed != nil || !m.bmcs.client.cfg.Clock.Steps {
		return nil
	}
	switch kind {
	case drivers.CleanStep:
		return []drivers.Step{{Interface: drivers.TypeManagement, Name: "set_bmc_clock", RequiresRamdisk: true, Run: m.setClock,
			Args: map[string]drivers.StepArg{
				"target_datetime":       {Description: "The datetime to set in ISO8601 format. If omitted, the current conductor UTC time is used."},
				"datetime_local_offset": {Description: "The local time offset from UTC"}}}}
	case drivers.VerifyStep:
		return []drivers.Step{{Interface: drivers.TypeManagement, Name: "verify_bmc_clock", Priority: 1, Run: m.verifyClock}}
	}
	return nil
}

// clock is a BMC's, as it shows it.
type clock struct {
	manager *schemas.Manager
	time    time.Time
}

func (s *system) clock() (clock, error) {
	all, err := s.managers()
	if err != nil {
		return clock{}, err
	}
	if len(all) == 0 {
		return clock{}, redfishError("Couldn't find any Sushy Manager")
	}
	shown, err := parseISOTime(all[0].DateTime)
	if err != nil {
		return clock{}, fmt.Errorf("the BMC shows no clock: %w", err)
	}
	return clock{all[0], shown}, nil
}

// set changes the clock. A BMC whose clock has no fractions of a second is told none.
func (s *system) set(c clock, to time.Time, offset string) error {
	layout := "2006-01-02T15:04:05.000000-07:00"
	if c.time.Nanosecond()/int(time.Microsecond) == 0 {
		layout = "2006-01-02T15:04:05-07:00"
	}
	payload := map[string]any{"DateTime": to.Format(layout)}
	if offset != "" {
		payload["DateTimeLocalOffset"] = offset
	}
	return s.Change(c.manager.ODataID, payload)
}

// tolerance is how far a clock may be off that was just set, beside the time since.
const tolerance = 2 * time.Second

func (m *Management) setClock(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	target := time.Now().UTC()
	if text := args.String("target_datetime"); text != "" {
		var err error
		if target, err = parseISOTime(text); err != nil {
			return drivers.Done, redfishError("target_datetime: %s", err)
		}
	}
	err := m.on(ctx, t, "", func(s *system) error {
		before, err := s.clock()
		if err != nil {
			return err
		}
		if err := s.set(before, target, args.String("datetime_local_offset")); err != nil {
			return err
		}
		sent := time.Now()
		now, err := s.clock()
		if off := now.time.Sub(target); err == nil && (off < -tolerance || off > time.Since(sent)+tolerance) {
			err = redfishError("BMC clock update failed: mismatch after setting datetime")
		}
		return err
	})
	var known *store.Error
	if errors.As(err, &known) {
		return drivers.Done, redfishError("%s", known.Error())
	}
	return drivers.Done, err
}

// mostOff is how far a clock may be off without being set.
const mostOff = time.Second

func (m *Management) verifyClock(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	if !m.bmcs.client.cfg.Clock.Verified {
		return drivers.Done, nil
	}
	err := m.on(ctx, t, "", func(s *system) error {
		shown, err := s.clock()
		if err != nil || time.Until(shown.time).Abs() <= mostOff {
			return err
		}
		t.Log.Info().Time("shown", shown.time).Msg("The clock of the BMC is wrong and is set")
		offset := "+00:00"
		if shown.manager.DateTimeLocalOffset == offset {
			offset = ""
		}
		if err := s.set(shown, time.Now().UTC(), offset); err != nil {
			return err
		}
		if shown, err = s.clock(); err == nil && time.Until(shown.time).Abs() > tolerance {
			err = redfishError("BMC clock still incorrect after update")
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		return drivers.Done, store.Errorf(store.NodeVerifyFailure, "Failed to verify node %s: BMC clock verify step failed: %w", t.Node.UUID, err)
	}
	return drivers.Done, err
}

// parseISOTime reads a moment in ISO 8601. One without a zone is taken for UTC.
func parseISOTime(text string) (time.Time, error) {
	text = strings.Replace(text, " ", "T", 1)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04",
		"2006-01-02", "20060102T150405Z0700", "20060102T150405"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time of ISO 8601", shorten(text))
}
