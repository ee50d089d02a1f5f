package config

import (
	"slices"
	"testing"
)

func TestRunningSettingsFollowWhatTheyCan(t *testing.T) {
	running := &Settings{}
	running.Conductor.MaxConcurrentDeploy, running.Conductor.Group, running.Database.Connection = 1, "a", "mysql://one"
	read := *running
	read.Conductor.MaxConcurrentDeploy, read.Conductor.Group, read.Database.Connection, read.Log.Debug = 2, "b", "mysql://two", true
	next, followed, restart, err := running.Follow(&read)
	if err != nil {
		t.Fatal(err)
	}
	if next.Conductor.MaxConcurrentDeploy != 2 || !next.Log.Debug || next.Conductor.Group != "a" || next.Database.Connection != "mysql://one" ||
		running.Conductor.MaxConcurrentDeploy != 1 {
		t.Errorf("goes by %+v, was %+v", next.Conductor, running.Conductor)
	}
	if want := []string{"[DEFAULT]debug", "[conductor]max_concurrent_deploy"}; !slices.Equal(followed, want) {
		t.Errorf("followed %q, want %q", followed, want)
	}
	if want := []string{"[conductor]conductor_group", "[database]connection"}; !slices.Equal(restart, want) {
		t.Errorf("needs a restart for %q, want %q", restart, want)
	}
	// What needs a restart is told again each time, what is followed is not.
	if _, followed, restart, _ = next.Follow(&read); len(followed) != 0 || len(restart) != 2 {
		t.Errorf("the second time %q and %q", followed, restart)
	}
}
