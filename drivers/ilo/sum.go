package ilo

import (
	"context"
	"regexp"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// sumArgs are the arguments of the steps by which HPE's Smart Update Manager updates firmware.
var sumArgs = map[string]drivers.StepArg{
	"url":      {Required: true, Description: "The image location for SPP (Service Pack for Proliant) ISO."},
	"checksum": {Required: true, Description: "The md5 checksum of the SPP image file."},
	"components": {Description: "The list of firmware component filenames. If not specified, SUM updates all the firmware " +
		"components."},
}

// sumFile is what a component's file is called.
var sumFile = regexp.MustCompile(`\.(scexe|exe|rpm)$`)

// sumStep is the step by which the agent runs the Smart Update Manager, from the ISO in the virtual CD drive.
func (m *Management) sumStep(kind drivers.StepKind) drivers.Step {
	name := "update_firmware_sum"
	if kind == drivers.DeployStep {
		name = "flash_firmware_sum"
	}
	return drivers.Step{Interface: drivers.TypeManagement, Name: name, RequiresRamdisk: true, ByAgent: true, Args: sumArgs,
		Run: func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
			return m.runSUM(ctx, t, kind, args, drivers.Agent.ExecuteStep)
		},
		Resume: func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
			return m.runSUM(ctx, t, kind, args, drivers.Agent.ResumeStep)
		}}
}

// runSUM shows the machine the ISO and has the agent run the step. Inserting what is inserted does nothing.
func (m *Management) runSUM(ctx context.Context, t *drivers.Task, kind drivers.StepKind, args store.Dict, send func(drivers.Agent,
	context.Context, *drivers.Task, drivers.StepKind, store.Dict) (drivers.Outcome, error)) (drivers.Outcome, error) {
	href, _, err := checkFirmwareImage(args)
	if err != nil {
		return drivers.Done, err
	}
	var others []string
	for _, item := range args.List("components") {
		if name := store.PythonText(item); !sumFile.MatchString(name) {
			others = append(others, name)
		}
	}
	if len(others) > 0 {
		return drivers.Done, store.Errorf(store.InvalidParameterValue, "The component files '%s' provided are not supported in 'SUM' based firmware "+
			"update. The valid file extensions are 'scexe', 'exe', 'rpm'.", strings.Join(others, ", "))
	}
	if scheme := schemeOf(href); scheme != "http" && scheme != "https" {
		return drivers.Done, store.Errorf(store.InvalidParameterValue, "The ISO of the Service Pack is to be at a http or https URL, not at %s.",
			shownURL(href))
	}
	agent, ok := t.Hardware.Deploy.(drivers.Agent)
	if !ok {
		return drivers.Done, drivers.Unsupported(t, "update_firmware_sum")
	}
	if err := redfish.NewStandard(m.bmcs, "").Insert(ctx, t, href); err != nil {
		return drivers.Done, err
	}
	step := t.Node.CleanStep
	if kind == drivers.DeployStep {
		step = t.Node.DeployStep
	}
	return send(agent, ctx, t, kind, step)
}
