package redfish

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/raid"
	"github.com/ironmaster/ironmaster/store"
)

// RAID is the raid interface redfish: the BMC makes arrays on its controllers, at once or at the next start of the machine.
type RAID struct {
	base
	schema *raid.Schema
	now    func() time.Time
	vendor RAIDVendor
}

// NewRAID returns the raid interface redfish.
func NewRAID(c *Client) *RAID {
	return &RAID{base: base{c.Plain()}, schema: raid.NewSchema(), now: time.Now}
}

// Validate checks the configuration that the node is to get. As in ironic, it does not look at driver_info.
func (r *RAID) Validate(ctx context.Context, t *drivers.Task) error {
	return raid.ValidateTarget(t.Node, func(config store.Dict) error { return r.ValidateRAIDConfig(ctx, t, config) })
}

// ValidateRAIDConfig holds a configuration against the schema, and refuses SCSI, which Redfish does not know.
func (r *RAID) ValidateRAIDConfig(_ context.Context, _ *drivers.Task, config store.Dict) error {
	if err := r.schema.Validate(config); err != nil {
		return err
	}
	for _, disk := range raid.Disks(config) {
		if disk.String("interface_type") == "scsi" {
			return store.Errorf(store.InvalidParameterValue, "interface type `scsi` not supported by Redfish RAID")
		}
	}
	return nil
}

// LogicalDiskProperties describes what a logical disk may be given.
func (r *RAID) LogicalDiskProperties() map[string]string { return r.schema.LogicalDiskProperties() }

// Steps make and delete arrays.
func (r *RAID) Steps(kind drivers.StepKind) []drivers.Step {
	if kind == drivers.VerifyStep {
		return nil
	}
	steps := []drivers.Step{{Name: "delete_configuration", Run: r.begin(r.deletion), Resume: r.goOn(r.deletion)}}
	if kind != drivers.CleanStep {
		steps = append(steps, drivers.Step{Name: "apply_configuration", Args: raid.ApplyArgs(), Run: r.begin(r.application),
			Resume: r.goOn(r.application)})
	} else {
		steps = append(steps, drivers.Step{Name: "create_configuration", Run: r.begin(r.creation), Resume: r.goOn(r.creation),
			Args: map[string]drivers.StepArg{
				"create_root_volume":     {Description: "This specifies whether to create the root volume. Defaults to `True`."},
				"create_nonroot_volumes": {Description: "This specifies whether to create the non-root volumes. Defaults to `True`."},
				"delete_existing": {Description: "Setting this to `True` indicates to delete existing RAID configuration prior to " +
					"creating the new configuration. Default value is `False`."},
			}})
	}
	for i := range steps {
		steps[i].Interface, steps[i].RequiresRamdisk = drivers.TypeRAID, true
	}
	return steps
}

// keyRAID holds, in driver_internal_info, what a BMC does to arrays while the flow waits.
const keyRAID = "raid_configs"

// raidWork is a change of arrays, as driver_internal_info holds it under upstream's names.
type raidWork struct {
	Operation string `json:"operation"`
	// Pending are the volumes that are to be made when those under way are done, by controller; for a deletion it tells that more
	// is to be deleted.
	Pending  map[string][]volume `json:"-"`
	More     bool                `json:"-"`
	Monitors []string            `json:"task_monitor_uri"`
}

// The operations.
const (
	operationCreate = "create"
	operationDelete = "delete"
)

func (w raidWork) store(n *store.Node) error {
	monitors := make([]any, len(w.Monitors))
	for i, m := range w.Monitors {
		monitors[i] = m
	}
	kept := map[string]any{"operation": w.Operation, "task_monitor_uri": monitors, "pending": w.More}
	if w.Operation == operationCreate {
		pending, err := w.pending()
		if err != nil {
			return err
		}
		kept["pending"] = pending
	}
	n.DriverInternalInfo[keyRAID] = kept
	return nil
}

// pending is Pending as a node's row has it.
func (w raidWork) pending() (map[string]any, error) {
	text, err := json.Marshal(w.Pending)
	if err != nil {
		return nil, fmt.Errorf("writing down the volumes to come: %w", err)
	}
	kept, err := store.ParseDict(text)
	return kept, err
}

// readPending is the way back.
func (w *raidWork) readPending(kept any) error {
	text, err := json.Marshal(kept)
	if err == nil {
		err = json.Unmarshal(text, &w.Pending)
	}
	return err
}

func readRAIDWork(n *store.Node) (w raidWork, err error) {
	kept := n.DriverInternalInfo.Dict(keyRAID)
	text, err := json.Marshal(map[string]any(kept))
	if err == nil {
		err = json.Unmarshal(text, &w)
	}
	if err == nil && w.Operation == operationCreate {
		err = w.readPending(kept["pending"])
	}
	w.More = kept.Bool("pending", false)
	if err != nil {
		return w, fmt.Errorf("reading driver_internal_info.raid_configs: %w", err)
	}
	return w, nil
}

// change is what a step does: the work of its first part, of which nothing was asked of the BMC yet.
type change func(ctx context.Context, t *drivers.Task, s *system, args store.Dict) (raidWork, error)

func (r *RAID) deletion(context.Context, *drivers.Task, *system, store.Dict) (raidWork, error) {
	return raidWork{Operation: operationDelete, More: true}, nil
}

func (r *RAID) creation(_ context.Context, t *drivers.Task, s *system, args store.Dict) (raidWork, error) {
	return planned(t, s, args.Bool("create_root_volume", true), args.Bool("create_nonroot_volumes", true))
}

// application is creation for a configuration that the step brings. Unlike ironic's description of it has it, volumes beside the root
// volume are made only when asked for.
func (r *RAID) application(ctx context.Context, t *drivers.Task, s *system, args store.Dict) (raidWork, error) {
	config := args.Dict("raid_config")
	if err := r.ValidateRAIDConfig(ctx, t, config); err != nil {
		return raidWork{}, err
	}
	t.Node.TargetRAIDConfig = config
	if err := t.Worker.Save(ctx, t); err != nil {
		return raidWork{}, err
	}
	return planned(t, s, args.Bool("create_root_volume", true), args.Bool("create_nonroot_volumes", false))
}

// planned finds disks for the volumes of the node's target configuration.
func planned(t *drivers.Task, s *system, root, others bool) (raidWork, error) {
	if len(raid.Disks(t.Node.TargetRAIDConfig)) == 0 {
		return raidWork{}, store.Errorf(store.MissingParameterValue, "Node %s has no target RAID configuration.", t.Node.UUID)
	}
	var wanted []volume
	for _, disk := range raid.Disks(t.Node.TargetRAIDConfig) {
		v, err := wantedVolume(t.Node, disk)
		if err != nil {
			return raidWork{}, err
		}
		wanted = append(wanted, v)
	}
	disks, err := s.physicalDisks()
	if err != nil {
		return raidWork{}, s.told(err, "")
	}
	volumes, err := plan(wanted, disks)
	if err != nil {
		return raidWork{}, err
	}
	work := raidWork{Operation: operationCreate, Pending: map[string][]volume{}}
	for _, v := range volumes {
		if v.root && root || !v.root && others {
			v.Before = v.countLike(work.Pending[v.Controller])
			work.Pending[v.Controller] = append(work.Pending[v.Controller], v)
		}
	}
	return work, nil
}

func wantedVolume(n *store.Node, disk store.Dict) (volume, error) {
	v := volume{Level: disk.String("raid_level"), Controller: disk.String("controller"), Name: disk.String("volume_name"),
		root: disk.Bool("is_root_volume", false), share: disk.Bool("share_physical_disks", false),
		diskType: disk.String("disk_type"), protocol: disk.String("interface_type"), Max: disk["size_gb"] == "MAX"}
	_, v.disksGiven = disk["physical_disks"]
	_, named := disk["controller"]
	v.controllerFree = !named
	for _, id := range disk.List("physical_disks") {
		if text, ok := id.(string); ok {
			v.Disks = append(v.Disks, text)
		}
	}
	if v.Max && !v.disksGiven {
		return v, store.Errorf(store.InvalidParameterValue, "create_configuration called with invalid target_raid_configuration for "+
			"node %s. 'physical_disks' is missing from logical_disk while 'size_gb'='MAX' was requested: %s", n.UUID, store.PythonRepr(disk))
	}
	if !v.Max {
		gib, _, err := disk.Int("size_gb")
		if err != nil {
			return v, store.Errorf(store.InvalidParameterValue, "size_gb of a logical disk is no whole number")
		}
		v.Size = gib << 30
	}
	count, _, err := disk.Int("number_of_physical_disks")
	if err != nil {
		return v, store.Errorf(store.InvalidParameterValue, "number_of_physical_disks of a logical disk is no whole number")
	}
	v.count = int(count)
	return v, nil
}

func (s *system) physicalDisks() ([]physicalDisk, error) {
	controllers, err := s.controllers()
	if err != nil {
		return nil, err
	}
	var all []physicalDisk
	for _, c := range controllers {
		if !c.raid {
			continue
		}
		for _, d := range c.drives {
			one := physicalDisk{ID: d.ID, Path: d.ODataID, Media: string(d.MediaType), Protocol: string(d.Protocol), Controller: c.id,
				volumes: c.volumes}
			if d.CapacityBytes != nil {
				one.Capacity = int64(*d.CapacityBytes)
			}
			all = append(all, one)
		}
	}
	return all, nil
}

// sortedControllers are the controllers of work that is pending, in a fixed order.
func (w raidWork) sortedControllers() []string {
	var names []string
	for name := range w.Pending {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// submit asks the BMC for what it takes now, and returns the work that is left. A controller takes one change at a time, unless it makes
// it at once. again leaves out volumes that are there already: they may have been asked for by a worker that died.
func (r *RAID) submit(s *system, work raidWork, again bool) (raidWork, error) {
	work.Monitors = nil
	var err error
	if work.Operation == operationDelete {
		work, err = r.submitDeletion(s, work)
	} else {
		work, err = r.submitCreation(s, work, again)
	}
	return work, err
}

func (r *RAID) submitCreation(s *system, work raidWork, again bool) (raidWork, error) {
	work, err := r.convert(s, work)
	if err != nil {
		return work, err
	}
	controllers, err := s.controllers()
	if err != nil {
		return work, s.told(err, "")
	}
	left := map[string][]volume{}
	for _, name := range work.sortedControllers() {
		volumes := work.Pending[name]
		for i, v := range volumes {
			monitor, err := s.create(controllers, v, again)
			if err != nil {
				return work, err
			}
			if monitor == "" {
				continue
			}
			work.Monitors = append(work.Monitors, monitor)
			if i+1 < len(volumes) {
				left[name] = volumes[i+1:]
			}
			break
		}
	}
	work.Pending = left
	return work, nil
}

// create makes a volume on the controller that has its disks.
func (s *system) create(controllers []*controller, v volume, again bool) (monitor string, err error) {
	var home *controller
	var paths []string
	for _, c := range controllers {
		for _, d := range c.drives {
			if c.raid && slices.Contains(v.Disks, d.ID) && (home == nil || home == c) {
				home = c
				paths = append(paths, d.ODataID)
			}
		}
	}
	if home == nil || home.volumes == "" {
		return "", redfishError("No storage controller found for node %s", s.task.Node.UUID)
	}
	level, err := findLevel(v.Level)
	if err != nil {
		return "", err
	}
	arrays, err := s.arrays(home)
	if err != nil {
		return "", s.told(err, "")
	}
	there := 0
	for _, a := range arrays {
		if a.RAIDType == level.redfish && a.on(paths) {
			there++
		}
	}
	if again && there > v.Before {
		s.task.Log.Info().Strs("disks", v.Disks).Msg("The volume is there already")
		return "", nil
	}
	payload := map[string]any{"RAIDType": level.redfish, "CapacityBytes": v.Size}
	if v.Max && s.session.cfg.FullSizeByController {
		delete(payload, "CapacityBytes")
	}
	if v.Name != "" && s.session.cfg.NamesVolumes {
		payload["Name"] = v.Name
	}
	var drives []map[string]string
	for _, path := range paths {
		drives = append(drives, map[string]string{"@odata.id": path})
	}
	payload["Links"] = map[string]any{"Drives": drives}
	// gofail: var raidBeforeCreate struct{}
	monitor, err = s.changeVolumes(http.MethodPost, home.volumes, home.applyTime(), payload)
	// gofail: var raidCreated struct{}
	if err != nil {
		return "", s.told(err, "")
	}
	s.task.Log.Info().Strs("disks", v.Disks).Str("level", v.Level).Str("monitor", monitor).Msg("A volume was asked for")
	return monitor, nil
}

// changeVolumes asks a controller for a change. One that it makes at once is waited for, as sushy does; of any other, monitor is where the
// BMC tells how it goes.
func (s *system) changeVolumes(method, path, when string, payload map[string]any) (monitor string, err error) {
	if when != "" {
		payload["@Redfish.OperationApplyTime"] = when
	}
	monitor, err = s.send(method, path, payload)
	if err != nil || monitor == "" || when != applyImmediately {
		return monitor, err
	}
	state, err := s.AwaitTask(monitor, s.session.cfg.TaskTimeout, s.session.cfg.TaskPoll)
	if err == nil && !state.Gone && !state.Succeeded {
		err = redfishError("RAID task %s to node %s failed; messages: %s", monitor, s.task.Node.UUID, state.Told)
	}
	return "", err
}

func (r *RAID) submitDeletion(s *system, work raidWork) (raidWork, error) {
	controllers, err := s.controllers()
	if err != nil {
		return work, s.told(err, "")
	}
	work.More = false
	for _, c := range controllers {
		arrays, err := s.arrays(c)
		if err != nil {
			return work, s.told(err, "")
		}
		arrays = slices.DeleteFunc(arrays, func(a array) bool { return a.RAIDType == "" })
		for i, a := range arrays {
			monitor, err := s.changeVolumes(http.MethodDelete, a.path, c.applyTime(), map[string]any{})
			if err != nil && statusOf(err) != http.StatusNotFound {
				return work, s.told(err, "")
			}
			if monitor == "" {
				continue
			}
			work.Monitors = append(work.Monitors, monitor)
			work.More = work.More || i+1 < len(arrays)
			break
		}
	}
	return work, nil
}

// record writes into the node which arrays its machine has. The caller saves.
func (r *RAID) record(ctx context.Context, t *drivers.Task) error {
	return r.on(ctx, t, "", func(s *system) error {
		controllers, err := s.controllers()
		if err != nil {
			return s.told(err, "")
		}
		disks := []any{}
		for _, c := range controllers {
			arrays, err := s.arrays(c)
			if err != nil {
				return s.told(err, "")
			}
			for _, a := range arrays {
				if a.RAIDType == "" {
					t.Log.Warn().Str("volume", a.ID).Msg("A volume without a RAID type is left out of raid_config")
					continue
				}
				name := a.RAIDType
				for _, l := range raidLevels {
					if l.redfish == a.RAIDType {
						name = l.name
					}
				}
				disks = append(disks, map[string]any{"id": a.ID, "name": a.Name, "controller": c.id, "raid_level": name,
					"size_gb": json.Number(fmt.Sprint(a.CapacityBytes >> 30))})
			}
		}
		return raid.Record(t.Node, store.Dict{"logical_disks": disks}, r.now())
	})
}

var (
	_ drivers.RAID   = (*RAID)(nil)
	_ drivers.Polled = (*RAID)(nil)
)
