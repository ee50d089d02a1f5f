package room

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
)

// deviceName is what the agent calls the machine's disk.
const deviceName = "/dev/vda"

// hardwareManager is the version map that ironic compares to find out whether the agent changed under way.
var hardwareManager = map[string]string{"generic_hardware_manager": "1.2"}

// step is a clean or deploy step that the agent offers.
type step struct {
	Step            string         `json:"step"`
	Priority        int            `json:"priority"`
	Interface       string         `json:"interface"`
	RebootRequested bool           `json:"reboot_requested"`
	Abortable       *bool          `json:"abortable,omitempty"`
	ArgsInfo        map[string]any `json:"argsinfo,omitempty"`
}

var abortable = true

// installStep is a step as operators have them in hardware managers of their own, for the deploy interface custom-agent. It
// takes what write_image does.
const installStep = "install_image"

// deploySteps, serviceSteps and cleanSteps are those of ironic-python-agent's generic hardware manager that the room can carry out, ownSteps
// are another manager's.
var (
	ownSteps = []step{{Step: installStep, Interface: "deploy", ArgsInfo: map[string]any{
		"image_info":  map[string]any{"description": "The image, as write_image takes it.", "required": true},
		"configdrive": map[string]any{"description": "The config drive.", "required": false},
	}}}
	deploySteps = []step{
		{Step: "erase_devices_metadata", Interface: "deploy"},
		{Step: "write_image", Interface: "deploy"},
	}
	// A servicing leaves what is on the disk alone.
	serviceSteps = []step{{Step: "burnin_cpu", Interface: "deploy", Abortable: &abortable}}
	cleanSteps   = []step{
		{Step: "erase_devices", Priority: 10, Interface: "deploy", Abortable: &abortable},
		{Step: "erase_devices_metadata", Priority: 99, Interface: "deploy", Abortable: &abortable},
		{Step: "erase_devices_express", Interface: "deploy", Abortable: &abortable},
	}
)

func getDeploySteps(context.Context, *agent, params) (any, error) {
	return map[string]any{
		"deploy_steps":             map[string]any{"GenericHardwareManager": deploySteps, "RoomHardwareManager": ownSteps},
		"hardware_manager_version": hardwareManager,
	}, nil
}

func getCleanSteps(context.Context, *agent, params) (any, error) {
	return map[string]any{
		"clean_steps":              map[string]any{"GenericHardwareManager": cleanSteps},
		"hardware_manager_version": hardwareManager,
	}, nil
}

func getServiceSteps(context.Context, *agent, params) (any, error) {
	return map[string]any{
		"service_steps":            map[string]any{"GenericHardwareManager": serviceSteps},
		"hardware_manager_version": hardwareManager,
	}, nil
}

// stepRequest is the step in the parameters of execute_*_step.
type stepRequest struct {
	Step string `json:"step"`
	Args struct {
		ImageInfo   *imageInfo `json:"image_info"`
		ConfigDrive *string    `json:"configdrive"`
	} `json:"args"`
}

// readStep decodes the step of a command and checks that ironic planned it with this agent's versions.
func readStep(p params, kind string) (stepRequest, error) {
	var request stepRequest
	if err := json.Unmarshal(p["step"], &request); err != nil {
		return request, agentInvalidParams("the step is not readable: " + err.Error())
	}
	if request.Step == "" {
		return request, commandFailed(fmt.Sprintf("Malformed %s_step, no \"step\" key: %s", kind, p["step"]))
	}
	var planned map[string]string
	if text, given := p[kind+"_version"]; given {
		if err := json.Unmarshal(text, &planned); err != nil {
			return request, agentInvalidParams(kind + "_version is not readable: " + err.Error())
		}
	}
	if planned != nil && !maps.Equal(planned, hardwareManager) {
		return request, newAgentError("VersionMismatch", http.StatusConflict,
			"Hardware managers version mismatch, reload agent with correct version",
			fmt.Sprintf("Current versions: %v, versions used by ironic: %v", hardwareManager, planned))
	}
	return request, nil
}

func executeDeployStep(ctx context.Context, a *agent, p params) (any, error) {
	request, err := readStep(p, "deploy")
	if err != nil {
		return nil, err
	}
	a.m.change(func(s *state) { s.tellStep(request.Step) })
	var result any
	switch request.Step {
	case "write_image", installStep:
		result, err = a.writeImage(ctx, request)
	case "erase_devices_metadata":
		err = a.m.disk.eraseMetadata()
	default:
		err = noSuchStep(request.Step)
	}
	if err != nil {
		return nil, newAgentError("DeploymentError", http.StatusInternalServerError, "Deploy step failed",
			fmt.Sprintf("Error performing deploy step %s: %s", request.Step, err))
	}
	return map[string]any{"deploy_result": result, "deploy_step": p["step"]}, nil
}

func executeCleanStep(_ context.Context, a *agent, p params) (any, error) {
	request, err := readStep(p, "clean")
	if err != nil {
		return nil, err
	}
	a.m.change(func(s *state) { s.tellStep(request.Step) })
	switch request.Step {
	case "erase_devices", "erase_devices_express":
		err = a.m.disk.erase()
	case "erase_devices_metadata":
		err = a.m.disk.eraseMetadata()
	default:
		err = noSuchStep(request.Step)
	}
	if err != nil {
		return nil, newAgentError("CleaningError", http.StatusInternalServerError, "Clean step failed",
			fmt.Sprintf("Error performing clean step %s: %s", request.Step, err))
	}
	return map[string]any{"clean_result": nil, "clean_step": p["step"]}, nil
}

func executeServiceStep(_ context.Context, a *agent, p params) (any, error) {
	request, err := readStep(p, "service")
	if err != nil {
		return nil, err
	}
	a.m.change(func(s *state) { s.tellStep(request.Step) })
	if request.Step != "burnin_cpu" {
		return nil, newAgentError("ServicingError", http.StatusInternalServerError, "Service step failed",
			fmt.Sprintf("Error performing service step %s: %s", request.Step, noSuchStep(request.Step)))
	}
	return map[string]any{"service_result": nil, "service_step": p["step"]}, nil
}

func noSuchStep(name string) error {
	return newAgentError("HardwareManagerMethodNotFound", http.StatusInternalServerError,
		"No HardwareManager found to handle method", "Could not find method: "+name)
}
