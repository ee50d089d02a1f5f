package conductor

import (
	"database/sql"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// on runs a worker that stands in for a release.
func on(t *testing.T, release messaging.Release) *worker {
	return startWorker(t, func(c *Config) {
		c.Release, c.NodeLockedRetryAttempts, c.RecordStepFlows = release, 1, release == messaging.Newest
	})
}

func TestAPortComesWhileItsNodeIsHeldOnNewerReleasesOnly(t *testing.T) {
	for release, comes := range map[messaging.Release]bool{messaging.V2023_1: false, messaging.V2025_1: true} {
		w := on(t, release)
		n := w.enroll(t, func(n *store.Node) { n.Reservation = "somebody" })
		args := map[string]any{"port_obj": w.portObject(w.newPort(n, nil), newPortFields...)}
		if comes {
			w.must(t, "create_port", args)
		} else {
			w.refused(t, store.NodeLocked, "create_port", args)
		}
	}
}

func TestStatesThatAReleaseLacksAreRefused(t *testing.T) {
	for release, known := range map[messaging.Release]bool{messaging.V2023_1: false, messaging.V2025_1: true} {
		w := on(t, release)
		n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.CleanHold })
		args := map[string]any{"node_id": n.UUID, "action": "unhold"}
		if known {
			w.must(t, "do_provisioning_action", args)
			w.settled(t, n.UUID, store.CleanWait)
		} else {
			w.refused(t, store.InvalidState, "do_provisioning_action", args)
		}
	}
}

func TestAbortingADeployment(t *testing.T) {
	w := on(t, messaging.Newest)
	write := drivers.Step{Interface: drivers.TypeDeploy, Name: "write", Priority: 50, Listed: store.Dict{
		"interface": "deploy", "step": "write", "priority": 50, "abortable": false}, Run: step("", 0, drivers.Waiting, nil).Run}
	for _, c := range []struct {
		name   string
		step   drivers.Step
		atOnce bool
	}{
		{"at once", step("write", 50, drivers.Waiting, nil), true},
		{"after a step that must not be broken off", write, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.script.use(behaviour{steps: deploySteps(c.step, step("later", 10, drivers.Waiting, nil))})
			n := w.available(t, nil)
			w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
			w.settled(t, n.UUID, store.DeployWait)
			w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "abort"})
			if !c.atOnce {
				equal(t, "state before the step's end", w.settled(t, n.UUID, store.DeployWait).DeployStep.Bool("abort_after", false), true)
				w.must(t, "continue_node_deploy", map[string]any{"node_id": n.UUID})
			}
			got := w.settled(t, n.UUID, store.DeployFail)
			equal(t, "last error", got.LastError,
				`By request, the deploy operation was aborted during or after the completion of step "deploy.write"`)
			equal(t, "step", len(got.DeployStep), 0)
		})
	}
	w.unlocked(t)
}

func TestReservedStepsAreLeftOutOnNewerReleases(t *testing.T) {
	w := on(t, messaging.V2025_1)
	w.script.use(behaviour{})
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	w.must(t, "do_node_clean", map[string]any{"node_id": n.UUID, "disable_ramdisk": false, "clean_steps": []any{
		store.Dict{"interface": "deploy", "step": "hold"}, store.Dict{"interface": "power", "step": "reset", "execute_on_child_nodes": true}}})
	equal(t, "last error", w.settled(t, n.UUID, store.Manageable).LastError, "")
}

func TestAManualCleaningBootsNoRamdiskThatNoStepNeeds(t *testing.T) {
	w := on(t, messaging.Newest)
	inBand := step("burn", 0, drivers.Done, nil)
	inBand.RequiresRamdisk = true
	for name, boots := range map[string]bool{"reset": false, "burn": true} {
		w.script.use(behaviour{steps: cleanSteps(step("reset", 0, drivers.Done, nil), inBand)})
		n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
		w.must(t, "do_node_clean", map[string]any{"node_id": n.UUID, "disable_ramdisk": false,
			"clean_steps": []any{store.Dict{"interface": "deploy", "step": name}}})
		w.settled(t, n.UUID, store.Manageable)
		equal(t, "a ramdisk was booted for "+name, slices.Contains(w.script.did(), "cleaning.prepare"), boots)
	}
}

func TestNewerReleasesKeepFlowsInTheHistory(t *testing.T) {
	w := on(t, messaging.Newest)
	w.script.use(behaviour{steps: cleanSteps(step("reset", 0, drivers.Done, nil))})
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	w.must(t, "do_node_clean", map[string]any{"node_id": n.UUID, "disable_ramdisk": false, "clean_steps": []any{
		store.Dict{"interface": "deploy", "step": "reset"}}})
	w.settled(t, n.UUID, store.Manageable)
	want := "manual_cleaning_start INFO Starting manual cleaning with steps=[{'interface': 'deploy', 'step': 'reset', " +
		"'abortable': False, 'priority': 0}]\nmanual_cleaning_end INFO Manual Cleaning completed successfully with steps=[]"
	equal(t, "history", w.history(t, n), want)
}

// history is what a node's history says, oldest first.
func (w *worker) history(t *testing.T, n *store.Node) string {
	t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(w.url, "sqlite:///"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT event_type, severity, event FROM node_history WHERE node_id = ? ORDER BY id", n.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var kind, severity, event string
		if err := rows.Scan(&kind, &severity, &event); err != nil {
			t.Fatal(err)
		}
		all = append(all, kind+" "+severity+" "+event)
	}
	return strings.Join(all, "\n")
}
