package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/store"
)

type scriptDeploy struct {
	*fake.Deploy
	s *script
}

var _ drivers.Agent = (*scriptDeploy)(nil)

// scriptBoot is a boot interface that boots machines again.
type scriptBoot struct {
	*fake.Boot
	s *script
}

func (b *scriptBoot) RetryBoot(_ context.Context, t *drivers.Task) error {
	b.s.called("boot again " + t.Node.UUID)
	return nil
}

// scriptChooser is a deploy interface that gives way to fake.
type scriptChooser struct{ scriptDeploy }

func (*scriptChooser) Choose(context.Context, *drivers.Task) string { return "fake" }

// scriptInstaller is a deploy interface whose machines install themselves.
type scriptInstaller struct{ scriptDeploy }

func (d *scriptInstaller) FinishInstall(_ context.Context, t *drivers.Task) error {
	return maybeOn(d.s.called("finish install").finishInstall, t)
}

func (d *scriptDeploy) Validate(context.Context, *drivers.Task) error {
	return maybe(d.s.called("").deployValidate)
}

func (d *scriptDeploy) Steps(kind drivers.StepKind) []drivers.Step {
	if steps, ok := d.s.called("").steps[kind]; ok {
		return steps
	}
	return d.Deploy.Steps(kind)
}

func (d *scriptDeploy) Prepare(_ context.Context, t *drivers.Task) error {
	return maybeOn(d.s.called("deploy.prepare").prepare, t)
}

func (d *scriptDeploy) CleanUp(_ context.Context, t *drivers.Task) error {
	return maybeOn(d.s.called("deploy.clean up").cleanUp, t)
}

func (d *scriptDeploy) TearDown(_ context.Context, t *drivers.Task) error {
	return maybeOn(d.s.called("deploy.tear down").tearDown, t)
}

func (d *scriptDeploy) TakeOver(_ context.Context, t *drivers.Task) error {
	return maybeOn(d.s.called("deploy.take over").takeOver, t)
}

func (d *scriptDeploy) PrepareCleaning(_ context.Context, t *drivers.Task) (drivers.Outcome, error) {
	if f := d.s.called("cleaning.prepare").prepareCleaning; f != nil {
		return f(t)
	}
	return drivers.Done, nil
}

func (d *scriptDeploy) TearDownCleaning(_ context.Context, t *drivers.Task) error {
	return maybeOn(d.s.called("cleaning.tear down").tearDownCleaning, t)
}

func (d *scriptDeploy) PrepareService(_ context.Context, t *drivers.Task) (drivers.Outcome, error) {
	if f := d.s.called("service.prepare").prepareService; f != nil {
		return f(t)
	}
	return drivers.Done, nil
}

func (d *scriptDeploy) TearDownService(_ context.Context, t *drivers.Task) error {
	return maybeOn(d.s.called("service.tear down").tearDownService, t)
}

func (d *scriptDeploy) RefreshSteps(ctx context.Context, t *drivers.Task, kind drivers.StepKind) error {
	if err := maybe(d.s.called("agent.refresh " + string(kind)).refresh); err != nil {
		return err
	}
	t.Node.DriverInternalInfo["agent_cached_"+string(kind)+"_steps"] = store.Dict{"deploy": []any{}}
	return t.Worker.Save(ctx, t)
}

func (d *scriptDeploy) CachedSteps(t *drivers.Task, kind drivers.StepKind, typ drivers.InterfaceType) ([]drivers.Step, bool) {
	cached := t.Node.DriverInternalInfo.Dict("agent_cached_"+string(kind)+"_steps") != nil
	if !cached || typ != drivers.TypeDeploy {
		return nil, cached
	}
	return d.s.called("").inBand[kind], true
}

func (d *scriptDeploy) ExecuteStep(_ context.Context, _ *drivers.Task, _ drivers.StepKind, step store.Dict) (drivers.Outcome, error) {
	if f := d.s.called("agent.execute " + stepID(step)).execute; f != nil {
		return f(step)
	}
	return drivers.Waiting, nil
}

func (d *scriptDeploy) ResumeStep(_ context.Context, _ *drivers.Task, _ drivers.StepKind, step store.Dict) (drivers.Outcome, error) {
	if f := d.s.called("agent.resume " + stepID(step)).resume; f != nil {
		return f(step)
	}
	return drivers.Waiting, nil
}

func (d *scriptDeploy) StepStatus(context.Context, *drivers.Task, drivers.StepKind) (drivers.StepStatus, error) {
	if f := d.s.called("agent.status").status; f != nil {
		return f()
	}
	return drivers.StepStatus{State: drivers.StepNotStarted}, nil
}

func (d *scriptDeploy) RebootAgent(ctx context.Context, t *drivers.Task) error {
	d.s.called("agent.reboot")
	return t.Worker.SetPower(ctx, t, store.Reboot)
}

func (d *scriptDeploy) FinalizeRescue(_ context.Context, t *drivers.Task, onlyHashed bool) error {
	what := "agent.finalize rescue"
	if onlyHashed {
		what += ", hashed alone"
	}
	return maybeOn(d.s.called(what).finalize, t)
}

func (d *scriptDeploy) CollectLogs(_ context.Context, _ *drivers.Task, label string, failed bool) {
	if failed {
		d.s.called("agent.logs " + label)
	}
}
