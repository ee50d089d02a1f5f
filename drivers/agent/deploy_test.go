package agent

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

func deployNode() *store.Node {
	return &store.Node{UUID: "n1", Driver: "redfish", ProvisionState: store.Deploying, PowerState: store.PowerOff,
		DriverInfo: store.Dict{}, Properties: store.Dict{}, DriverInternalInfo: store.Dict{"is_whole_disk_image": true},
		InstanceInfo: store.Dict{"image_source": "http://images/disk.qcow2", "image_os_hash_algo": "sha256",
			"image_os_hash_value": "ab", "image_disk_format": "qcow2"}}
}

func TestStepsAreThoseOfTheRecording(t *testing.T) {
	var got []string
	for _, s := range newRig(t, quick(), deployNode()).deploy.Steps(drivers.DeployStep) {
		got = append(got, s.Name)
		if s.Args != nil || s.Interface != drivers.TypeDeploy {
			t.Errorf("%+v", s)
		}
	}
	want := []string{"deploy", "write_image", "prepare_instance_boot", "tear_down_agent", "switch_to_tenant_network", "boot_instance"}
	if !slices.Equal(got, want) {
		t.Errorf("steps %v", got)
	}
}

func TestPrepareLeavesAnHTTPImageWhereItIs(t *testing.T) {
	g := newRig(t, quick(), deployNode())
	g.task.Node.PowerState = store.PowerOn
	if err := g.deploy.Prepare(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	info := g.task.Node.InstanceInfo
	if info.String("image_url") != "http://images/disk.qcow2" || info.String("image_type") != "whole-disk" ||
		info.String("image_os_hash_value") != "ab" {
		t.Errorf("instance_info %v", info)
	}
	if !slices.Equal(g.worker.power, []string{store.PowerOff}) || !slices.Equal(g.calls, []string{"prepare_ramdisk"}) {
		t.Errorf("power %v, boot %v", g.worker.power, g.calls)
	}
	if g.boot.params["ipa-api-url"] != "http://192.0.2.1:6385" {
		t.Errorf("kernel parameters %v", g.boot.params)
	}
}

func TestPrepareFollowsARedirect(t *testing.T) {
	g := newRig(t, quick(), deployNode())
	g.images.meta = image.Metadata{Location: "https://mirror/disk.qcow2"}
	if err := g.deploy.Prepare(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	info := g.task.Node.InstanceInfo
	if info.String("image_url") != "https://mirror/disk.qcow2" || info.String("image_source") != "https://mirror/disk.qcow2" {
		t.Errorf("instance_info %v", info)
	}
}

// The values are those of the recorded run with image_download_source local.
func TestPrepareServesAConvertedImage(t *testing.T) {
	n := deployNode()
	n.InstanceInfo["image_download_source"], n.InstanceInfo["image_checksum"] = "local", "0123"
	g := newRig(t, quick(), n)
	g.publisher.served = Served{URL: "http://worker/images/x/disk", Format: image.FormatRaw, HashAlgo: "sha256", HashValue: "cd", Size: 5}
	if err := g.deploy.Prepare(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	info := n.InstanceInfo
	if info["image_checksum"] != nil || info.String("image_disk_format") != "raw" || info.String("image_os_hash_value") != "cd" ||
		info.String("image_url") != "http://worker/images/x/disk" {
		t.Errorf("instance_info %v", info)
	}
	if w := g.publisher.wish; !w.Raw || w.DeclaredFormat != "qcow2" {
		t.Errorf("asked for %+v", w)
	}
}

func TestPrepareTakesAFileAsItIsDeclared(t *testing.T) {
	n := deployNode()
	n.InstanceInfo = store.Dict{"image_source": "file:///srv/disk.raw", "image_checksum": "0123", "image_disk_format": "raw"}
	g := newRig(t, quick(), n)
	g.publisher.served = Served{URL: "http://worker/x", Format: image.FormatRaw, HashAlgo: "sha256", HashValue: "cd", Size: 5}
	if err := g.deploy.Prepare(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	if n.InstanceInfo.String("image_checksum") != "0123" || n.InstanceInfo.String("image_os_hash_value") != "" {
		t.Errorf("instance_info %v", n.InstanceInfo)
	}
}

func TestPrepareCopiesWhatGlanceSays(t *testing.T) {
	n := deployNode()
	n.InstanceInfo = store.Dict{"image_source": "5fd4f3f2-0f3a-4c5a-9d0e-3a1d7a1f0c11"}
	g := newRig(t, quick(), n)
	g.images.meta = image.Metadata{DiskFormat: "raw", ContainerFormat: "bare", Checksum: "0123", HashAlgo: "sha512",
		HashValue: "ef", Properties: store.Dict{"os": "x"}, Tags: []string{"t"}}
	g.publisher.served = Served{URL: "http://worker/x", Format: image.FormatRaw, HashValue: "ef", Size: 5}
	if err := g.deploy.Prepare(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	info := n.InstanceInfo
	for key, want := range map[string]string{"image_checksum": "0123", "image_os_hash_algo": "sha512", "image_os_hash_value": "ef",
		"image_container_format": "bare", "image_disk_format": "raw", "image_url": "http://worker/x"} {
		if info.String(key) != want {
			t.Errorf("%s: %v, want %s", key, info[key], want)
		}
	}
}

func TestImageLargerThanMemory(t *testing.T) {
	n := deployNode()
	n.Properties["memory_mb"] = "4"
	g := newRig(t, quick(), n)
	g.images.meta.Size = 5 << 20
	err := g.deploy.Prepare(t.Context(), g.task)
	if store.KindOf(err) != store.InvalidParameterValue || !strings.Contains(err.Error(), "Memory size is too small") {
		t.Error(err)
	}
	n.InstanceInfo["image_disk_format"] = "raw"
	if err := g.deploy.Prepare(t.Context(), g.task); err != nil {
		t.Errorf("a raw image is streamed: %v", err)
	}
}

func TestBootAgentRebootsOnce(t *testing.T) {
	g := newRig(t, quick(), deployNode())
	outcome, err := g.deploy.bootAgent(t.Context(), g.task, nil)
	if outcome != drivers.Waiting || err != nil || !slices.Equal(g.worker.power, []string{store.Reboot}) {
		t.Errorf("%v, %v, power %v", outcome, err, g.worker.power)
	}
	g.task.Node.DriverInternalInfo["deployment_reboot"] = true
	if _, err := g.deploy.bootAgent(t.Context(), g.task, nil); err != nil || len(g.worker.power) != 1 {
		t.Errorf("rebooted again although a step before had: %v, %v", err, g.worker.power)
	}
}

// The worker died while it booted the agent. Its machine may be on its way up: it rests before it is told anew what to boot.
func TestBootIsResumed(t *testing.T) {
	rests, restarts := []string{store.PowerOff, store.PowerOn}, []string{store.Reboot}
	for name, c := range map[string]struct {
		power    string
		foreign  bool
		disabled bool
		asked    []string
	}{
		"a machine that is off still":    {store.PowerOff, false, false, rests},
		"a machine that was switched on": {store.PowerOn, false, false, rests},
		"another worker's machine":       {store.PowerOff, true, false, rests},
		"one that may not be off":        {store.PowerOn, false, true, restarts},
	} {
		cfg := quick()
		cfg.ManageBoot = true
		g := newRig(t, cfg, deployNode())
		g.task.Node.PowerState, g.task.Foreign, g.task.Node.DisablePowerOff = c.power, c.foreign, &c.disabled
		g.task.Node.DriverInternalInfo["deployment_reboot"] = true
		outcome, err := g.deploy.resumeBoot(t.Context(), g.task, nil)
		if outcome != drivers.Waiting || err != nil || !slices.Equal(g.worker.power, c.asked) {
			t.Errorf("%s: %v, %v, power %v", name, outcome, err, g.worker.power)
		}
		if !slices.Contains(g.calls, "prepare_ramdisk") {
			t.Errorf("%s: the machine was not told what to boot", name)
		}
		if g.task.Node.DriverInternalInfo["deployment_reboot"] != nil {
			t.Errorf("%s: a reboot of the agent would be taken for one that a step asked for", name)
		}
	}
}

// The worker died after it had begun the step and before it saved that it waits: what the agent says decides.
func TestWriteImageIsNotRepeatedBlindly(t *testing.T) {
	of := func(step string) store.Dict {
		c := cmd("execute_deploy_step", "SUCCEEDED")
		c["command_result"] = store.Dict{"deploy_step": store.Dict{"interface": "deploy", "step": step}}
		return c
	}
	for name, c := range map[string]struct {
		list    store.Dict
		outcome drivers.Outcome
		sent    int
	}{
		"running":             {commandList(cmd("execute_deploy_step", "RUNNING")), drivers.Waiting, 0},
		"failed":              {commandList(cmd("execute_deploy_step", "FAILED")), drivers.Waiting, 0},
		"done":                {commandList(of("write_image")), drivers.Done, 0},
		"the step before":     {commandList(of("burn_in")), drivers.Waiting, 1},
		"never arrived":       {commandList(cmd("get_deploy_steps", "SUCCEEDED")), drivers.Waiting, 1},
		"an agent just begun": {commandList(), drivers.Waiting, 1},
	} {
		a := newAgent(t, func(r *http.Request, _ store.Dict) (int, any) {
			if r.Method == http.MethodGet {
				return 200, c.list
			}
			return 200, cmd("execute_deploy_step", "RUNNING")
		})
		n := deployNode()
		n.DeployStep = store.Dict{"interface": "deploy", "step": "write_image"}
		a.adopt(t, n)
		g := newRig(t, quick(), n)
		outcome, err := g.deploy.resumeWriteImage(t.Context(), g.task, nil)
		if outcome != c.outcome || err != nil || len(a.posts) != c.sent {
			t.Errorf("%s: %v, %v, sent %d times", name, outcome, err, len(a.posts))
		}
		if len(g.publisher.resumed) == 0 {
			t.Errorf("%s: the image is not served again", name)
		}
	}
	n := deployNode()
	g := newRig(t, quick(), n)
	n.DriverInternalInfo["agent_url"] = "http://127.0.0.1:1"
	if outcome, err := g.deploy.resumeWriteImage(t.Context(), g.task, nil); outcome != drivers.Again || err != nil {
		t.Errorf("an agent that is not to be reached: %v, %v", outcome, err)
	}
}

// A peer that takes a flow over serves the image under a URL of its own.
func TestTheImageOfALostWorkerIsServedAnew(t *testing.T) {
	a := newAgent(t, func(*http.Request, store.Dict) (int, any) { return 200, cmd("execute_deploy_step", "RUNNING") })
	n := deployNode()
	n.InstanceInfo["image_url"] = "http://192.0.2.1/images/n1/disk?token=lost"
	n.DriverInfo = store.Dict{"image_download_source": "local"}
	a.adopt(t, n)
	g := newRig(t, quick(), n)
	g.publisher.gone, g.publisher.served = true, Served{URL: "http://192.0.2.2/disk", Format: "raw"}
	if _, err := g.deploy.writeImage(t.Context(), g.task, nil); err != nil {
		t.Fatal(err)
	}
	sent := a.posts[0].Dict("params").Dict("step").Dict("args").Dict("image_info").List("urls")
	if len(sent) != 1 || sent[0] != "http://192.0.2.2/disk" {
		t.Errorf("the agent is told %v", sent)
	}
}

func TestRefusedWriteImageIsSentAgain(t *testing.T) {
	busy := true
	a := newAgent(t, func(*http.Request, store.Dict) (int, any) {
		if busy {
			return 409, store.Dict{"faultstring": "busy"}
		}
		return 200, cmd("execute_deploy_step", "RUNNING")
	})
	n := deployNode()
	a.adopt(t, n)
	g := newRig(t, quick(), n)
	if _, err := g.deploy.writeImage(t.Context(), g.task, nil); store.KindOf(err) != store.AgentInProgress {
		t.Errorf("a busy agent: %v", err)
	}
	busy = false
	if outcome, err := g.deploy.writeImage(t.Context(), g.task, nil); outcome != drivers.Waiting || err != nil || a.gets != 0 {
		t.Errorf("an idle agent: %v, %v, %d gets", outcome, err, a.gets)
	}
}

func TestLostLockStopsAStep(t *testing.T) {
	g := newRig(t, quick(), deployNode())
	g.worker.saveErr = store.ErrLockLost
	if _, err := g.deploy.bootAgent(t.Context(), g.task, nil); !errors.Is(err, store.ErrLockLost) {
		t.Error(err)
	}
}

func TestTearDownAgent(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*store.Node)
		off    bool // the agent's power_off works
		posts  []string
		power  []string
	}{
		"agent":         {func(*store.Node) {}, true, []string{"standby.power_off"}, nil},
		"agent is slow": {func(*store.Node) {}, false, []string{"standby.power_off"}, []string{store.PowerOff}},
		"out of band": {func(n *store.Node) { n.DriverInfo["deploy_forces_oob_reboot"] = "true" }, false,
			[]string{"standby.sync"}, []string{store.PowerOff}},
	} {
		n := deployNode()
		n.PowerState = store.PowerOn
		c.change(n)
		a := newAgent(t, func(_ *http.Request, body store.Dict) (int, any) {
			if c.off {
				n.PowerState = store.PowerOff
			}
			return 200, cmd(shortName(body.String("name")), "RUNNING")
		})
		a.adopt(t, n)
		g := newRig(t, quick(), n)
		outcome, err := g.deploy.tearDownAgent(t.Context(), g.task, nil)
		if outcome != drivers.Done || err != nil || !slices.Equal(g.worker.power, c.power) {
			t.Errorf("%s: %v, %v, power %v", name, outcome, err, g.worker.power)
		}
		var names []string
		for _, p := range a.posts {
			names = append(names, p.String("name"))
		}
		if !slices.Equal(names, c.posts) {
			t.Errorf("%s: commands %v", name, names)
		}
	}
}

func TestInstanceIsSwitchedOnUnlessItCannotBe(t *testing.T) {
	g := newRig(t, quick(), deployNode())
	if _, err := g.deploy.bootInstance(t.Context(), g.task, nil); err != nil || !slices.Equal(g.worker.power, []string{store.PowerOn}) {
		t.Errorf("%v, power %v", err, g.worker.power)
	}
	g.task.Hardware.Power = NewPower(quick())
	if _, err := g.deploy.bootInstance(t.Context(), g.task, nil); err != nil || len(g.worker.power) != 1 {
		t.Errorf("%v, power %v", err, g.worker.power)
	}
}

// The keys are those of the recorded driver_internal_info.
func TestCleaningBootsTheAgentWithItsOptions(t *testing.T) {
	n := deployNode()
	n.ProvisionState = store.Cleaning
	g := newRig(t, quick(), n)
	outcome, err := g.deploy.PrepareCleaning(t.Context(), g.task)
	if outcome != drivers.Waiting || err != nil || !slices.Equal(g.worker.power, []string{store.Reboot}) {
		t.Errorf("%v, %v, power %v", outcome, err, g.worker.power)
	}
	for key, want := range map[string]string{"agent_erase_devices_iterations": "1", "agent_erase_devices_zeroize": "True",
		"agent_continue_if_secure_erase_failed": "False", "agent_continue_if_ata_erase_failed": "False",
		"agent_enable_nvme_secure_erase": "True", "agent_enable_ata_secure_erase": "True", "disk_erasure_concurrency": "4",
		"agent_erase_skip_read_only": "False"} {
		if got := n.DriverInternalInfo.String(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if err := g.deploy.TearDownCleaning(t.Context(), g.task); err != nil || g.worker.power[1] != store.PowerOff {
		t.Errorf("%v, power %v", err, g.worker.power)
	}
	n.Fault = store.FaultClean
	if err := g.deploy.TearDownCleaning(t.Context(), g.task); err != nil || len(g.worker.power) != 2 {
		t.Errorf("a failed node was switched off: %v, power %v", err, g.worker.power)
	}
}

func TestRunningAgentIsUsed(t *testing.T) {
	a := newAgent(t, getSteps(store.Dict{"hardware_manager_version": store.Dict{}, "clean_steps": store.Dict{}, "deploy_steps": store.Dict{}}))
	n := deployNode()
	n.PowerState = store.PowerOn
	a.adopt(t, n)
	n.DriverInternalInfo["agent_last_heartbeat"] = isoTime(time.Now())
	cfg := quick()
	cfg.FastTrack = true
	g := newRig(t, cfg, n)
	if err := g.deploy.Prepare(t.Context(), g.task); err != nil || len(g.calls) != 0 || len(g.worker.power) != 0 {
		t.Errorf("prepare: %v, boot %v, power %v", err, g.calls, g.worker.power)
	}
	if outcome, err := g.deploy.bootAgent(t.Context(), g.task, nil); outcome != drivers.Done || err != nil {
		t.Errorf("deploy: %v, %v", outcome, err)
	}
	if outcome, err := g.deploy.PrepareCleaning(t.Context(), g.task); outcome != drivers.Done || err != nil {
		t.Errorf("cleaning: %v, %v", outcome, err)
	}
}

func TestTearDownAndCleanUp(t *testing.T) {
	g := newRig(t, quick(), deployNode())
	if err := g.deploy.TearDown(t.Context(), g.task); err != nil || !slices.Equal(g.worker.power, []string{store.PowerOff}) {
		t.Errorf("%v, power %v", err, g.worker.power)
	}
	if err := g.deploy.CleanUp(t.Context(), g.task); err != nil || !slices.Equal(g.publisher.withdrawn, []string{"n1"}) {
		t.Errorf("%v, withdrawn %v", err, g.publisher.withdrawn)
	}
}

func TestLogsAreKeptWhenConfigured(t *testing.T) {
	a := newAgent(t, func(*http.Request, store.Dict) (int, any) {
		c := cmd("collect_system_logs", "SUCCEEDED")
		c["command_result"] = store.Dict{"system_logs": "bG9ncw=="}
		return 200, c
	})
	for _, c := range []struct {
		collect LogCollection
		failed  bool
		files   int
	}{{CollectNever, true, 0}, {CollectOnFailure, false, 0}, {CollectOnFailure, true, 1}, {CollectAlways, false, 1}} {
		cfg := quick()
		cfg.Logs = LogsConfig{Collect: c.collect, Dir: t.TempDir()}
		name := "web/1"
		n := a.node(t)
		n.Name = &name
		g := newRig(t, cfg, n)
		g.deploy.CollectLogs(t.Context(), g.task, "cleaning", c.failed)
		files, err := os.ReadDir(cfg.Logs.Dir)
		if err != nil || len(files) != c.files {
			t.Errorf("%s, failed %v: %d files, %v", c.collect, c.failed, len(files), err)
		}
		if len(files) == 1 && !strings.HasPrefix(files[0].Name(), "n1_1_cleaning_") {
			t.Errorf("file %s", files[0].Name())
		}
	}
}

func TestTakeOverPublishesForNodesThatStillRead(t *testing.T) {
	for state, want := range map[string]int{store.DeployWait: 1, store.Deploying: 1, store.Active: 0, store.Adopting: 0} {
		n := deployNode()
		n.ProvisionState = state
		g := newRig(t, quick(), n)
		if err := g.deploy.TakeOver(t.Context(), g.task); err != nil || len(g.publisher.resumed) != want {
			t.Errorf("%s: %v, resumed %v", state, err, g.publisher.resumed)
		}
	}
}
