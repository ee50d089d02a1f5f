package conductor

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// interfaceRank orders steps of equal priority: the higher rank runs first. Only interfaces in the map are asked for
// steps (reference/deploy.md §3.1).
func interfaceRank(kind drivers.StepKind, release messaging.Release) map[drivers.InterfaceType]int {
	if kind == drivers.VerifyStep {
		rank := map[drivers.InterfaceType]int{
			drivers.TypePower: 13, drivers.TypeManagement: 12, drivers.TypeInspect: 10, drivers.TypeDeploy: 9,
			drivers.TypeBoot: 8, drivers.TypeBIOS: 7, drivers.TypeRAID: 6, drivers.TypeVendor: 5, drivers.TypeNetwork: 4,
			drivers.TypeStorage: 3, drivers.TypeConsole: 2, drivers.TypeRescue: 1,
		}
		if release >= messaging.V2023_2 {
			rank[drivers.TypeFirmware] = 11
		}
		return rank
	}
	if release < messaging.V22_1 {
		return map[drivers.InterfaceType]int{drivers.TypePower: 5, drivers.TypeManagement: 4, drivers.TypeDeploy: 3,
			drivers.TypeBIOS: 2, drivers.TypeRAID: 1}
	}
	rank := map[drivers.InterfaceType]int{drivers.TypeVendor: 7, drivers.TypePower: 6, drivers.TypeManagement: 5,
		drivers.TypeFirmware: 4, drivers.TypeDeploy: 3, drivers.TypeBIOS: 2, drivers.TypeRAID: 1}
	if release < messaging.V2023_2 {
		delete(rank, drivers.TypeFirmware)
	}
	if kind == drivers.ServiceStep && release > messaging.V2025_2 {
		rank[drivers.TypeNetwork] = 8
	}
	return rank
}

// stepDict is a step as driver_internal_info and the step columns hold it.
func stepDict(kind drivers.StepKind, s drivers.Step) store.Dict {
	if s.Listed != nil {
		return s.Listed.Clone()
	}
	d := store.Dict{"interface": string(s.Interface), "step": s.Name, "priority": s.Priority}
	if kind == drivers.VerifyStep {
		return d
	}
	d["argsinfo"] = argsInfo(s.Args)
	if kind != drivers.DeployStep {
		d["abortable"] = s.Abortable
		d["requires_ramdisk"] = s.RequiresRamdisk
	}
	return d
}

func argsInfo(args map[string]drivers.StepArg) any {
	if args == nil {
		return nil
	}
	info := store.Dict{}
	for name, arg := range args {
		a := store.Dict{"description": arg.Description}
		if arg.Required {
			a["required"] = true
		}
		info[name] = a
	}
	return info
}

func stepID(s store.Dict) string { return s.String("interface") + "." + s.String("step") }

func priority(s store.Dict) int {
	n, _, err := s.Int("priority")
	if err != nil {
		return 0
	}
	return int(n)
}

// driverSteps asks the node's interfaces, and its agent where one has reported, for their steps of a kind.
func (t *task) driverSteps(kind drivers.StepKind) []store.Dict {
	rank := interfaceRank(kind, t.c.cfg.Release)
	order := make([]drivers.InterfaceType, 0, len(rank))
	for typ := range rank {
		order = append(order, typ)
	}
	slices.SortFunc(order, func(a, b drivers.InterfaceType) int { return cmp.Compare(rank[b], rank[a]) })
	agent, hasAgent := t.Hardware.Deploy.(drivers.Agent)
	var steps []store.Dict
	for _, typ := range order {
		iface := t.Hardware.Get(typ)
		if iface == nil {
			continue
		}
		for _, s := range iface.Steps(kind) {
			if s.InBand {
				continue
			}
			s.Interface = typ
			d := stepDict(kind, s)
			if _, said := d["abortable"]; !said && kind == drivers.DeployStep && t.c.cfg.Release > messaging.V2025_2 {
				d["abortable"] = true
			}
			steps = append(steps, d)
		}
		if !hasAgent || kind == drivers.VerifyStep {
			continue
		}
		inBand, _ := agent.CachedSteps(t.Task, kind, typ)
		for _, s := range inBand {
			if d := stepDict(kind, s); findStep(steps, d) == nil {
				steps = append(steps, d)
			}
		}
	}
	return steps
}

// overridePriorities applies [conductor]clean_step_priority_override and the like: "interface.step" to priority.
func overridePriorities(steps []store.Dict, override map[string]int) {
	for _, s := range steps {
		if p, ok := override[stepID(s)]; ok && p != 0 {
			s["priority"] = p
		}
	}
}

func enabledSteps(steps []store.Dict) []store.Dict {
	return slices.DeleteFunc(slices.Clone(steps), func(s store.Dict) bool { return priority(s) == 0 })
}

// sortSteps orders by priority, then by the interface's rank, highest first.
func (t *task) sortSteps(kind drivers.StepKind, steps []store.Dict) {
	rank := interfaceRank(kind, t.c.cfg.Release)
	slices.SortStableFunc(steps, func(a, b store.Dict) int {
		return cmp.Or(cmp.Compare(priority(b), priority(a)), cmp.Compare(
			rank[drivers.InterfaceType(b.String("interface"))], rank[drivers.InterfaceType(a.String("interface"))]))
	})
}

func findStep(steps []store.Dict, want store.Dict) store.Dict {
	for _, s := range steps {
		if stepID(s) == stepID(want) {
			return s
		}
	}
	return nil
}

// stepRules says how a user's steps are held against what the node offers.
type stepRules struct {
	kind drivers.StepKind
	// prefix stands before the errors.
	prefix string
	// skipUnknown lets steps pass that only the agent may know, because it is not running yet.
	skipUnknown bool
	// withoutRamdisk accepts only steps that need none.
	withoutRamdisk bool
	wording        wording
	// release decides whether reserved steps are known.
	release messaging.Release
}

// reservedSteps are those that newer conductors keep for themselves, whatever the interface, and the releases since which they are
// accepted (ironic.conductor.steps, _validate_user_steps; 28.0 brought the last two).
var reservedSteps = map[string]messaging.Release{"power_on": messaging.V22_1, "power_off": messaging.V22_1, "reboot": messaging.V22_1,
	"hold": messaging.V28_0, "wait": messaging.V28_0}

// reserved tells that a step is not held against what the node offers. Upstream leaves such steps out of the list that it
// checked, so that they are accepted and never run; so does this.
func (r stepRules) reserved(step store.Dict) bool {
	if step.Bool("execute_on_child_nodes", false) {
		return r.release >= messaging.V22_1
	}
	since, known := reservedSteps[step.String("step")]
	return known && r.release >= since
}

// checkUserSteps holds the steps that a user asked for against those that the node offers, and completes them. What does
// not fit is named in one InvalidParameterValue error.
func checkUserSteps(user, offered []store.Dict, r stepRules) ([]store.Dict, error) {
	var accepted []store.Dict
	var problems []string
	for _, step := range user {
		if r.reserved(step) {
			continue
		}
		// The node's own list stays as the user wrote it while any step is refused.
		step = maps.Clone(step)
		known := findStep(offered, step)
		if known == nil {
			if !r.skipUnknown {
				problems = append(problems, "node does not support this "+string(r.kind)+" step: "+r.wording.of(step))
			}
			continue
		}
		asked := r.wording.of(step)
		problems = append(problems, checkUserStep(step, known, r)...)
		r.wording.complete(asked, step)
		accepted = append(accepted, step)
	}
	if r.kind == drivers.DeployStep {
		problems = append(problems, duplicateSteps(accepted)...)
	}
	if len(problems) > 0 {
		return nil, store.Errorf(store.InvalidParameterValue, "%s%s", r.prefix, strings.Join(problems, "; "))
	}
	return accepted, nil
}

func checkUserStep(step, known store.Dict, r stepRules) []string {
	var problems []string
	argsinfo, args := known.Dict("argsinfo"), step.Dict("args")
	if extra := keysMissing(args, argsinfo); len(extra) > 0 {
		problems = append(problems, string(r.kind)+" step "+r.wording.of(step)+" has these unexpected arguments: "+
			strings.Join(extra, ", "))
	}
	ownPriority := r.kind == drivers.DeployStep
	if !ownPriority || priority(step) > 0 {
		if missing := requiredMissing(args, argsinfo); len(missing) > 0 {
			problems = append(problems, string(r.kind)+" step "+r.wording.of(step)+
				" is missing these required arguments: "+strings.Join(missing, ", "))
		}
		if r.withoutRamdisk && known.Bool("requires_ramdisk", true) {
			problems = append(problems, string(r.kind)+" step "+r.wording.of(step)+" requires booting a ramdisk")
		}
	}
	if !ownPriority {
		step["abortable"], step["priority"] = known.Bool("abortable", false), priority(known)
	} else if priority(step) > 0 && stepID(known) == "deploy.deploy" {
		problems = append(problems, "deploy step "+step.String("step")+" on interface "+step.String("interface")+
			" is a core step and cannot be overridden by user steps. It may be disabled by setting the priority to 0")
	}
	return problems
}

func keysMissing(have, known store.Dict) []string {
	var names []string
	for name := range have {
		if _, ok := known[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func requiredMissing(args, argsinfo store.Dict) []string {
	var missing []string
	for name := range argsinfo {
		info := argsinfo.Dict(name)
		if _, given := args[name]; given || !info.Bool("required", false) {
			continue
		}
		if d := info.String("description"); d != "" {
			name += " (" + d + ")"
		}
		missing = append(missing, name)
	}
	slices.Sort(missing)
	return missing
}

func duplicateSteps(steps []store.Dict) []string {
	count := map[string]int{}
	var twice []string
	for _, s := range steps {
		id := stepID(s)
		if count[id]++; count[id] == 2 {
			twice = append(twice, id)
		}
	}
	if len(twice) == 0 {
		return nil
	}
	return []string{"deploy steps from all deploy templates matching this node's instance traits cannot have the same " +
		"interface and step. Duplicate deploy steps for " + strings.Join(twice, ", ")}
}

// templateSteps returns the steps of the deploy templates that the instance's traits name, with the templates' names.
func (t *task) templateSteps(ctx context.Context) (steps []store.Dict, names []string, err error) {
	var traits []string
	for _, v := range t.Node.InstanceInfo.List("traits") {
		if name, ok := v.(string); ok {
			traits = append(traits, name)
		}
	}
	if len(traits) == 0 {
		return nil, nil, nil
	}
	templates, err := t.c.db.DeployTemplates(ctx, traits)
	if err != nil {
		return nil, nil, err
	}
	for _, tpl := range templates {
		names = append(names, tpl.Name)
		steps = append(steps, tpl.Steps...)
	}
	return steps, names, nil
}

// checkedDeploySteps validates the user's steps and those of templates; skipUnknown is for the time before the agent runs.
func (t *task) checkedDeploySteps(ctx context.Context, user []store.Dict, skipUnknown bool) (own, templates []store.Dict,
	err error) {
	offered := t.driverSteps(drivers.DeployStep)
	fromTemplates, names, err := t.templateSteps(ctx)
	if err != nil {
		return nil, nil, err
	}
	templates, err = checkUserSteps(fromTemplates, offered, stepRules{
		kind: drivers.DeployStep, skipUnknown: skipUnknown, release: t.c.cfg.Release,
		prefix: "Validation of deploy steps from deploy templates matching this node's instance traits failed. Matching " +
			"deploy templates: " + strings.Join(names, ",") + ". Errors: ",
	})
	if err != nil {
		return nil, nil, err
	}
	if len(user) == 0 {
		user = dictList(t.Node.DriverInternalInfo.List("user_deploy_steps"))
	}
	own, err = checkUserSteps(user, offered, stepRules{
		kind: drivers.DeployStep, skipUnknown: skipUnknown, wording: t.wording, release: t.c.cfg.Release,
		prefix: `Validation of deploy steps from "deploy steps" argument failed.`,
	})
	return own, templates, err
}

// setDeploySteps computes the list of deploy steps and saves it: the user's steps before templates' before the drivers'.
func (t *task) setDeploySteps(ctx context.Context, resetCurrent, skipUnknown bool) error {
	user, templates, err := t.checkedDeploySteps(ctx, nil, skipUnknown)
	if err != nil {
		return err
	}
	chosen := slices.Clone(user)
	for _, s := range templates {
		if findStep(user, s) == nil {
			chosen = append(chosen, s)
		}
	}
	var steps []store.Dict
	for _, s := range enabledSteps(t.driverSteps(drivers.DeployStep)) {
		if findStep(chosen, s) == nil {
			steps = append(steps, s)
		}
	}
	for _, s := range chosen {
		if priority(s) > 0 {
			steps = append(steps, s)
		}
	}
	t.sortSteps(drivers.DeployStep, steps)
	info := t.Node.DriverInternalInfo
	info["deploy_steps"] = anyList(t.c.allowed(drivers.DeployStep, steps))
	if resetCurrent {
		t.Node.DeployStep = store.Dict{}
		info["deploy_step_index"] = nil
	}
	return t.save(ctx)
}

// setCleanSteps computes the list of clean steps and saves it. Steps that were listed before are in the row already and are
// held against what the node offers, now that it can be known.
func (t *task) setCleanSteps(ctx context.Context, withoutRamdisk bool) error {
	offered := t.driverSteps(drivers.CleanStep)
	overridePriorities(offered, t.c.cfg.CleanStepPriorityOverride)
	var steps []store.Dict
	if !cleansByList(t.Node) {
		steps = enabledSteps(offered)
		t.sortSteps(drivers.CleanStep, steps)
	} else {
		sent, known := t.Node.DriverInternalInfo["clean_steps"]
		err := checkSteps(sent)
		if known && err != nil {
			return err
		}
		user := dictList(t.Node.DriverInternalInfo.List("clean_steps"))
		steps, err = checkUserSteps(user, offered, stepRules{
			kind: drivers.CleanStep, withoutRamdisk: withoutRamdisk, wording: t.wording, release: t.c.cfg.Release})
		if err != nil {
			return err
		}
	}
	t.Node.CleanStep = store.Dict{}
	t.Node.DriverInternalInfo["clean_steps"] = anyList(t.c.allowed(drivers.CleanStep, steps))
	t.Node.DriverInternalInfo["clean_step_index"] = nil
	return t.save(ctx)
}

// dictList reads an array of objects; what is no object is left out.
func dictList(items []any) []store.Dict {
	var out []store.Dict
	for _, item := range items {
		switch d := item.(type) {
		case store.Dict:
			out = append(out, d)
		case map[string]any:
			out = append(out, d)
		}
	}
	return out
}

func anyList(steps []store.Dict) []any {
	out := make([]any, len(steps))
	for i, s := range steps {
		out[i] = map[string]any(s)
	}
	return out
}
