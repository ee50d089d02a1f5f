package redfish

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/store"
)

// findings are what a BMC tells of its machine.
type findings struct {
	memoryMB int64
	// threads are those of all processors; the rest is the first one's.
	processors     int
	threads        int64
	architecture   schemas.ProcessorArchitecture
	instructionSet schemas.InstructionSet
	cpuModel       string
	mhz            *int
	cards          []card
	disks          []disk
	// described are the disks as they are told of since 34.0.
	described []any
	details   details
	// diskBytes is the size of the disk that counts as the root disk, 0 without one.
	diskBytes int64
	bootMode  string

	name, model, serial, manufacturer, uuid string

	more vendorFindings
}

// card is one network interface.
type card struct {
	id, address      string
	healthy, enabled bool
	mbps             *int
}

// disk is a drive as the inventory has it.
type disk struct {
	name  string
	bytes *int64
}

// architectures are ironic's names for those of Redfish.
var architectures = map[schemas.ProcessorArchitecture]string{
	schemas.X86ProcessorArchitecture: "x86_64", schemas.IA64ProcessorArchitecture: "ia64",
	schemas.ARMProcessorArchitecture: "arm", schemas.MIPSProcessorArchitecture: "mips", schemas.OEMProcessorArchitecture: "oem",
}

// instructionSets are ironic's names for those of Redfish.
var instructionSets = map[schemas.InstructionSet]string{
	schemas.ARMA32InstructionSet: "arm", schemas.ARMA64InstructionSet: "aarch64", schemas.IA64InstructionSet: "ia64",
	schemas.MIPS32InstructionSet: "mips", schemas.MIPS64InstructionSet: "mips64", schemas.X86InstructionSet: "i686",
	schemas.X8664InstructionSet: "x86_64",
}

// findings reads everything about a machine. A BMC that cannot tell of its disks has none.
func (s *system) findings() (findings, error) {
	f := findings{name: s.Name, model: s.Model, serial: s.SerialNumber, manufacturer: s.Manufacturer, uuid: s.UUID,
		bootMode: s.bootMode()}
	if err := s.findSize(&f); err != nil {
		return f, err
	}
	if err := s.findCards(&f); err != nil {
		return f, err
	}
	return f, s.findDisks(&f)
}

// findSize reads how much memory and how many processors there are.
func (s *system) findSize(f *findings) error {
	if gib := s.MemorySummary.TotalSystemMemoryGiB; gib != nil {
		f.memoryMB = int64(*gib) * 1024
	}
	return single(s.findProcessors(f))
}

func (s *system) findCards(f *findings) error {
	cards, err := s.EthernetInterfaces()
	if err != nil {
		return single(err)
	}
	// The library reads several at a time, in any order.
	slices.SortFunc(cards, func(a, b *schemas.EthernetInterface) int { return cmp.Compare(a.ODataID, b.ODataID) })
	for _, c := range cards {
		f.cards = append(f.cards, card{id: c.ID, address: c.MACAddress, mbps: c.SpeedMbps,
			healthy: c.Status.Health == schemas.OKHealth, enabled: c.Status.State == schemas.EnabledState})
	}
	return nil
}

func (s *system) findProcessors(f *findings) error {
	all, err := s.Processors()
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b *schemas.Processor) int { return cmp.Compare(a.ODataID, b.ODataID) })
	f.processors = len(all)
	for _, p := range all {
		if p.TotalThreads != nil {
			f.threads += int64(*p.TotalThreads)
		}
		f.architecture = cmp.Or(f.architecture, p.ProcessorArchitecture)
	}
	if len(all) > 0 {
		f.instructionSet, f.cpuModel, f.mhz = all[0].InstructionSet, all[0].Model, all[0].MaxSpeedMHz
	}
	return nil
}

// smallestRoot is the size from which on a disk may be the root disk.
const smallestRoot = 4 << 30

// findDisks finds the smallest disk that may be the root disk: among the simple storage, and among the volumes, or else the drives,
// of the storage. The smaller of both counts.
func (s *system) findDisks(f *findings) error {
	simple, err := s.SimpleStorage()
	if err := s.unlessRefused("simple storage", err); err != nil {
		return err
	}
	stores, err := s.Storage()
	if err := s.unlessRefused("storage", err); err != nil {
		return err
	}
	slices.SortFunc(simple, func(a, b *schemas.SimpleStorage) int { return cmp.Compare(a.ODataID, b.ODataID) })
	slices.SortFunc(stores, func(a, b *schemas.Storage) int { return cmp.Compare(a.ODataID, b.ODataID) })
	var devices, volumes, drives []int64
	for _, one := range simple {
		for _, d := range one.Devices {
			if d.CapacityBytes == nil {
				continue
			}
			if d.Status.State == schemas.EnabledState {
				devices = append(devices, int64(*d.CapacityBytes))
			}
			if len(stores) == 0 {
				f.disks = append(f.disks, disk{d.Name, new(int64(*d.CapacityBytes))})
			}
		}
	}
	for _, one := range stores {
		ofStore, err := one.Volumes()
		if err := s.unlessRefused("volumes", err); err != nil {
			return err
		}
		for _, v := range ofStore {
			if v.CapacityBytes != nil {
				volumes = append(volumes, int64(*v.CapacityBytes))
			}
		}
		inStore, err := one.Drives()
		if err := s.unlessRefused("drives", err); err != nil {
			return err
		}
		slices.SortFunc(inStore, func(a, b *schemas.Drive) int { return cmp.Compare(a.ODataID, b.ODataID) })
		parts := describeDrives(inStore)
		for _, d := range parts {
			f.described = append(f.described, d.disk())
		}
		f.details.controllers = append(f.details.controllers, describeStorage(one, parts))
		for _, d := range inStore {
			one := disk{name: d.Name}
			if d.CapacityBytes != nil {
				one.bytes = new(int64(*d.CapacityBytes))
				drives = append(drives, *one.bytes)
			}
			f.disks = append(f.disks, one)
		}
	}
	device, stored := smallest(devices), cmp.Or(smallest(volumes), smallest(drives))
	f.diskBytes = max(device, stored)
	if device > 0 && stored > 0 {
		f.diskBytes = min(device, stored)
	}
	return nil
}

// unlessRefused is an error other than that the BMC answered and does not tell, as some do of kinds of storage that they name. Ironic goes
// by the rest then.
func (s *system) unlessRefused(what string, err error) error {
	err = single(err)
	if status := statusOf(err); status == 0 || status == http.StatusUnauthorized {
		return err
	}
	s.task.Log.Warn().Str("reason", s.session.explain(err)).Msg("The BMC does not tell of the machine's " + what)
	return nil
}

// smallest is the size of the smallest disk that may be the root disk, 0 without one.
func smallest(sizes []int64) int64 {
	sizes = slices.DeleteFunc(sizes, func(n int64) bool { return n < smallestRoot })
	if len(sizes) == 0 {
		return 0
	}
	return slices.Min(sizes)
}

// localGB leaves one GiB for partitioning.
func (f findings) localGB() int64 { return max(0, f.diskBytes>>30-1) }

// enabledCards are the addresses of the cards that are healthy and enabled.
func (f findings) enabledCards() []string {
	var addresses []string
	for _, c := range f.cards {
		if c.healthy && c.enabled && c.address != "" {
			addresses = append(addresses, c.address)
		}
	}
	return addresses
}

// MACAddresses are those of the cards that are healthy and enabled.
func (m *Management) MACAddresses(ctx context.Context, t *drivers.Task) ([]string, error) {
	var f findings
	err := m.on(ctx, t, "", func(s *system) error { return s.findCards(&f) })
	return f.enabledCards(), err
}

var _ drivers.Enumerating = (*Management)(nil)

// inventory is that of 22.1 to 31.0.
func (f findings) inventory() store.Dict {
	out := store.Dict{}
	if f.memoryMB > 0 {
		out["memory"] = store.Dict{"physical_mb": f.memoryMB}
	}
	if cpu := f.cpu(); f.processors > 0 {
		if f.threads > 0 {
			cpu["count"] = f.threads
		}
		out["cpu"] = cpu
	}
	if f.disks != nil {
		out["disks"] = f.diskList()
	}
	var cards []any
	for _, c := range f.cards {
		if c.healthy && c.address != "" {
			cards = append(cards, store.Dict{"mac_address": c.address})
		}
	}
	if cards != nil {
		out["interfaces"] = cards
	}
	f.describe(out, "product_name", f.name)
	return out
}

// fullInventory is that since 32.0, which hooks can work on; system has model and UUID since 34.0.
func (f findings) fullInventory(model bool) store.Dict {
	out := store.Dict{"cpu": store.Dict{"count": f.threads, "architecture": ""}}
	if f.memoryMB > 0 {
		out["memory"] = store.Dict{"physical_mb": f.memoryMB}
	}
	if f.processors > 0 {
		cpu := f.cpu()
		cpu["count"], cpu["architecture"] = f.threads, instructionSets[f.instructionSet]
		out["cpu"] = cpu
	}
	switch {
	case model && len(f.described) > 0:
		out["disks"] = f.described
	case f.disks != nil:
		out["disks"] = f.diskList()
	}
	cards := []any{}
	for _, c := range f.cards {
		mac, ok := inspection.NormalMAC(c.address)
		if !ok {
			continue
		}
		one := store.Dict{"mac_address": mac, "name": c.id}
		if c.mbps != nil {
			one["speed_mbps"] = *c.mbps
		}
		cards = append(cards, one)
	}
	out["interfaces"] = cards
	if !model {
		f.describe(out, "product_name", f.name)
		return out
	}
	f.describe(out, "product_name", f.model)
	if vendor := out.Dict("system_vendor"); f.uuid != "" {
		if vendor == nil {
			vendor = store.Dict{}
		}
		vendor["system_uuid"] = f.uuid
		out["system_vendor"] = vendor
	}
	return out
}

func (f findings) cpu() store.Dict {
	cpu := store.Dict{}
	if f.cpuModel != "" {
		cpu["model_name"] = f.cpuModel
	}
	if f.mhz != nil {
		cpu["frequency"] = *f.mhz
	}
	if set := instructionSets[f.instructionSet]; set != "" {
		cpu["architecture"] = set
	}
	return cpu
}

func (f findings) diskList() []any {
	var all []any
	for _, d := range f.disks {
		one := store.Dict{"name": d.name, "size": nil}
		if d.bytes != nil {
			one["size"] = *d.bytes
		}
		all = append(all, one)
	}
	return all
}

// describe adds what both kinds of inventory say of the system as a whole.
func (f findings) describe(out store.Dict, nameKey, name string) {
	vendor := store.Dict{}
	for key, value := range map[string]string{nameKey: name, "serial_number": f.serial, "manufacturer": f.manufacturer} {
		if value != "" {
			vendor[key] = value
		}
	}
	if len(vendor) > 0 {
		out["system_vendor"] = vendor
	}
	if f.bootMode != "" {
		out["boot"] = store.Dict{"current_boot_mode": f.bootMode}
	}
}
