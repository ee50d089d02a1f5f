package wholeworker

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// window is where in a transition a crash hits.
type window string

// A transition writes down what is about to happen (journal), and makes it happen (effect).
const (
	beforeJournal window = "before the journal"
	beforeEffect  window = "after the journal, before the effect"
	afterEffect   window = "after the effect, before the next journal"
)

// crashPoint is a place in the program at which the crash matrix kills it: a comment "gofail: var NAME struct{}".
type crashPoint struct {
	name       string
	transition string
	window     window
	// often tells that how many times a flow comes by depends on heartbeats and events more than on the flow. Of such a
	// point a few passes stand for all; every pass of the others is a cell of its own.
	often bool
}

// crashPoints are all of them, transition by transition.
var crashPoints = []crashPoint{
	{"inboxBeforeAccept", "a request is accepted: inbox, then ack", beforeJournal, true},
	{"inboxAccepted", "a request is accepted: inbox, then ack", beforeEffect, true},
	{"inboxAcked", "a request is accepted: inbox, then ack", afterEffect, true},

	{"inboxExecuted", "a request is done: taken from the inbox, then answered", beforeJournal, true},
	{"inboxFinished", "a request is done: taken from the inbox, then answered", beforeEffect, true},

	{"lockBeforeRecord", "a node is locked: record in the file, then nodes.reservation", beforeJournal, true},
	{"lockRecorded", "a node is locked: record in the file, then nodes.reservation", beforeEffect, true},
	{"lockReserved", "a node is locked: record in the file, then nodes.reservation", afterEffect, true},

	{"lockBeforeRelease", "a node is released: nodes.reservation, then the record", beforeJournal, true},
	{"lockReservationGone", "a node is released: nodes.reservation, then the record", beforeEffect, true},
	{"lockRecordGone", "a node is released: nodes.reservation, then the record", afterEffect, true},

	{"eventBeforeSave", "a move through the state machine: row, then notification into the outbox", beforeJournal, false},
	{"eventSaved", "a move through the state machine: row, then notification into the outbox", beforeEffect, false},
	{"eventNotified", "a move through the state machine: row, then notification into the outbox", afterEffect, false},

	{"outboxBeforeAppend", "an event is sent: outbox, broker's confirm, deletion", beforeJournal, true},
	{"outboxBeforeSend", "an event is sent: outbox, broker's confirm, deletion", beforeEffect, true},
	{"outboxSent", "an event is sent: outbox, broker's confirm, deletion", afterEffect, true},
	{"outboxDeleted", "an event is sent: outbox, broker's confirm, deletion", afterEffect, true},

	{"stepBeforeBegin", "a step: cursor in the row, then the step's work", beforeJournal, false},
	{"stepBegun", "a step: cursor in the row, then the step's work", beforeEffect, false},
	{"deployStepRan", "a step of a deployment: cursor in the row, then the step's work", afterEffect, false},
	{"cleanStepRan", "a step of a cleaning: cursor in the row, then the step's work", afterEffect, false},

	{"deployPrepared", "a deployment is prepared: the machine, then the list of steps in the row", afterEffect, false},
	{"deployListed", "a deployment is prepared: the machine, then the list of steps in the row", beforeEffect, false},
	{"cleanPrepared", "a cleaning is prepared: the machine, then the list of steps in the row", afterEffect, false},
	{"cleanListed", "a cleaning is prepared: the machine, then the list of steps in the row", beforeEffect, false},

	{"rescueBooted", "a rescue: its ramdisk is switched on, then the wait state in the row", afterEffect, false},
	{"rescueBeforePassword", "a rescue: that the agent is told in the row, the password told, the move in the row", beforeEffect, false},
	{"rescuePasswordSent", "a rescue: that the agent is told in the row, the password told, the move in the row", afterEffect, false},
	{"rescueCleanedUp", "a rescue: its ramdisk's boot is removed, then the tenant's networks, then the move in the row", afterEffect, false},
	{"unrescued", "the end of a rescue: the instance is switched on, then the move in the row", afterEffect, false},

	{"servicePrepared", "a servicing is prepared: the machine, then the list of steps in the row", afterEffect, false},
	{"serviceListed", "a servicing is prepared: the machine, then the list of steps in the row", beforeEffect, false},
	{"serviceStepRan", "a step of a servicing: cursor in the row, then the step's work", afterEffect, false},
	{"serviceTornDown", "the end of a servicing: the instance is switched on, then the move in the row", afterEffect, false},

	{"writeIntended", "write_image: cursor in the row, command to the agent, wait state in the row", beforeEffect, false},
	{"writeSent", "write_image: cursor in the row, command to the agent, wait state in the row", afterEffect, false},

	{"iscsiFetched", "an image for iSCSI is fetched, then the machine boots its agent", afterEffect, false},
	{"iscsiIntended", "write_image over iSCSI: its beginning in the row, target, image, the image's being there in the row", beforeEffect, false},
	{"iscsiExposed", "write_image over iSCSI: its beginning in the row, target, image, the image's being there in the row", afterEffect, false},
	{"iscsiPouring", "write_image over iSCSI: its beginning in the row, target, image, the image's being there in the row", afterEffect, true},
	{"iscsiPoured", "write_image over iSCSI: its beginning in the row, target, image, the image's being there in the row", afterEffect, false},
	{"iscsiVerified", "write_image over iSCSI: the image, then config drive and table, then the UUIDs in the row", beforeEffect, false},
	{"iscsiConfigDrive", "write_image over iSCSI: the image, then config drive and table, then the UUIDs in the row", afterEffect, false},
	{"iscsiWritten", "write_image over iSCSI: the image, then config drive and table, then the UUIDs in the row", afterEffect, false},

	{"agentStepBeforeSend", "a step of the agent: cursor in the row, command to the agent", beforeEffect, false},
	{"agentStepSent", "a step of the agent: cursor in the row, command to the agent", afterEffect, false},

	{"isoPublished", "a boot ISO: promise in the journal, then inserted at the BMC", beforeJournal, false},
	{"isoPromised", "a boot ISO: promise in the journal, then inserted at the BMC", beforeEffect, false},
	{"isoInserted", "a boot ISO: promise in the journal, then inserted at the BMC", afterEffect, false},
	{"isoEjected", "a boot ISO is ejected at the BMC, then taken from the journal", afterEffect, false},

	{"ramdiskLinked", "boot files: kernel and ramdisk, configuration, DHCP's options, promise in the journal, boot device", beforeJournal, false},
	{"bootConfigWritten", "boot files: kernel and ramdisk, configuration, DHCP's options, promise in the journal, boot device", beforeJournal, false},
	{"dhcpUpdated", "boot files: kernel and ramdisk, configuration, DHCP's options, promise in the journal, boot device", beforeJournal, false},
	{"bootConfigRemoved", "boot files are removed, then the promise", beforeJournal, false},

	{"instanceOffered", "a ramdisk is deployed: what the machine boots is ready, then it is switched on", afterEffect, false},

	{"installerOffered", "an installation: what the machine boots is ready, then it is switched on", afterEffect, false},

	{"imageProvided", "an image is served: promise in the journal, then its URL in the row", beforeJournal, false},
	{"imagePromised", "an image is served: promise in the journal, then its URL in the row", beforeEffect, false},

	{"powerBeforeTarget", "a power action: target in the row, the BMC asked, result in the row", beforeJournal, false},
	{"powerTargetSaved", "a power action: target in the row, the BMC asked, result in the row", beforeEffect, false},
	{"powerAsked", "a power action: target in the row, the BMC asked, result in the row", afterEffect, false},
	{"powerDriven", "a power action: target in the row, the BMC asked, result in the row", afterEffect, false},
	{"powerSaved", "a power action: target in the row, the BMC asked, result in the row", afterEffect, false},

	{"heartbeatBeforeSave", "a heartbeat: the agent's address in the row, then the flow goes on", beforeJournal, true},
	{"heartbeatSaved", "a heartbeat: the agent's address in the row, then the flow goes on", beforeEffect, true},

	{"instanceTornDown", "a tear-down: the machine, then the instance forgotten in the row", afterEffect, false},
	{"instanceForgotten", "a tear-down: the machine, then the instance forgotten in the row", beforeEffect, false},

	{"raidBeforeCreate", "a volume: asked of the BMC, its task in the row, the machine rebooted", beforeJournal, false},
	{"raidCreated", "a volume: asked of the BMC, its task in the row, the machine rebooted", beforeJournal, false},
	{"raidSubmitted", "a volume: asked of the BMC, its task in the row, the machine rebooted", beforeEffect, false},
	{"firmwareBeforeUpdate", "firmware: staged, the BMC's tasks in the row, asked of the BMC, its task in the row, the machine rebooted", beforeJournal, false},
	{"firmwareAsked", "firmware: staged, the BMC's tasks in the row, asked of the BMC, its task in the row, the machine rebooted", beforeJournal, false},
	{"firmwareNoted", "firmware: staged, the BMC's tasks in the row, asked of the BMC, its task in the row, the machine rebooted", beforeEffect, false},
	{"firmwareRebooted", "firmware: staged, the BMC's tasks in the row, asked of the BMC, its task in the row, the machine rebooted", afterEffect, false},
	{"biosChanged", "BIOS settings: noted at the BMC, which half is due in the row, the machine rebooted", beforeJournal, false},
	{"biosNoted", "BIOS settings: noted at the BMC, which half is due in the row, the machine rebooted", beforeEffect, false},

	{"dellImportAsked", "an import: asked of the iDRAC, its task in the row, the machine rebooted", beforeJournal, false},
	{"dellImportNoted", "an import: asked of the iDRAC, its task in the row, the machine rebooted", beforeEffect, false},
	{"dellModeAsked", "a controller's mode: asked of the iDRAC, its task in the row, the machine rebooted", beforeJournal, false},
	{"dellModeNoted", "a controller's mode: asked of the iDRAC, its task in the row, the machine rebooted", beforeEffect, false},
	{"iloSettingsChanged", "BIOS settings: told to the iLO, which half is due in the row, the machine rebooted", beforeJournal, false},
	{"iloSettingsNoted", "BIOS settings: told to the iLO, which half is due in the row, the machine rebooted", beforeEffect, false},

	{"neutronBeforePort", "a ramdisk's network: a port made, bound, its id in the port's row", beforeJournal, false},
	{"neutronPortMade", "a ramdisk's network: a port made, bound, its id in the port's row", afterEffect, false},
	{"neutronPortsBound", "a ramdisk's network: a port made, bound, its id in the port's row", afterEffect, false},
	{"neutronPortsRemoved", "a ramdisk's network is left: its ports removed, their ids taken from the ports' rows", afterEffect, false},
	{"vifBound", "a tenant's network: its port bound, awaited, then the port's row", afterEffect, false},
	{"vifUnbound", "a tenant's network is left: its port unbound, its address taken, then the port's row", afterEffect, false},

	{"volumeBeforeReserve", "a volume: noted in the row, reserved, connected, how it is reached in the target's row, attached", beforeEffect, false},
	{"volumeReserved", "a volume: noted in the row, reserved, connected, how it is reached in the target's row, attached", afterEffect, false},
	{"volumeConnected", "a volume: noted in the row, reserved, connected, how it is reached in the target's row, attached", afterEffect, false},
	{"volumeAttached", "a volume: noted in the row, reserved, connected, how it is reached in the target's row, attached", afterEffect, false},
	{"volumeBeforeDetaching", "a volume goes: noted in the row, its detachment begun, disconnected, detached", beforeEffect, false},
	{"volumeDetaching", "a volume goes: noted in the row, its detachment begun, disconnected, detached", afterEffect, false},
	{"volumeDisconnected", "a volume goes: noted in the row, its detachment begun, disconnected, detached", afterEffect, false},
	{"volumeDetached", "a volume goes: noted in the row, its detachment begun, disconnected, detached", afterEffect, false},

	{"verifyRead", "a verification: the BMC is read, then the result goes into the row", beforeJournal, false},
	{"inspectDone", "an inspection: the BMC is read or a ramdisk booted, then the row is moved", afterEffect, false},
	{"findingsKept", "findings come: kept in the journal, then the row is moved", beforeEffect, false},
	{"findingsRuled", "inspection rules: the findings in the journal, then what they change in the row", beforeEffect, false},
	{"findingsApplied", "findings are taken: ports and properties, then the inventory, then the row is moved", afterEffect, false},
	{"findingsStored", "findings are taken: ports and properties, then the inventory, then the row is moved", afterEffect, false},
	{"adoptTakenOver", "an adoption: the node is prepared, then the row is moved", afterEffect, false},
}

var failpointComment = regexp.MustCompile(`(?m)^\s*// gofail: var (\w+) struct\{\}$`)

// TestCrashPointsAreThose holds the list and the code together.
func TestCrashPointsAreThose(t *testing.T) {
	var listed, found []string
	for _, p := range slices.Concat(crashPoints, allocationPoints, requestPoints) {
		listed = append(listed, p.name)
	}
	files, err := sourceFiles()
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(top, file))
		must(t, err)
		for _, match := range failpointComment.FindAllStringSubmatch(string(text), -1) {
			found = append(found, match[1])
		}
	}
	slices.Sort(listed)
	slices.Sort(found)
	if !slices.Equal(listed, found) {
		t.Errorf("listed are %v,\nin the code are %v", listed, found)
	}
}

const top = "../.."

// sourceFiles are the files that the program is built from, from the top of the working tree.
func sourceFiles() ([]string, error) {
	command := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "go.mod", "go.sum", "cmd",
		"conductor", "drivers", "messaging", "store")
	command.Dir = top
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the program's files: %w", err)
	}
	files := strings.Split(strings.TrimRight(string(output), "\x00"), "\x00")
	return slices.DeleteFunc(files, func(file string) bool {
		_, err := os.Stat(filepath.Join(top, file))
		return err != nil || strings.HasSuffix(file, "_test.go") || strings.Contains(file, "/testdata/")
	}), nil
}
