package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
)

// environ are the variables of docker-compose.yml that ironic.conf is completed by, with the default passwords.
func environ(t *testing.T, compose string) []string {
	t.Helper()
	var all []string
	defaults := regexp.MustCompile(`\$\{\w+:-([^}]*)\}`)
	for _, line := range regexp.MustCompile(`(?m)^ *(OS_\w+__\w+): (.*)$`).FindAllStringSubmatch(compose, -1) {
		all = append(all, line[1]+"="+defaults.ReplaceAllString(line[2], "$1"))
	}
	if len(all) == 0 {
		t.Fatal("docker-compose.yml sets no option")
	}
	return all
}

func TestTheConfigurationIsAsTheComposeFileNeedsIt(t *testing.T) {
	text, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	conf, err := filepath.Abs("ironic.conf")
	if err != nil {
		t.Fatal(err)
	}
	s, warnings, err := config.Load(config.Inputs{
		Flags: config.Flags{Sources: []config.Source{{Path: conf}}}, Environ: environ(t, string(text)), Release: config.R2023_1,
		Hostname: func() (string, error) { return "f073aa98f3ca", nil }, Address: func() string { return "172.18.0.6" },
	})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("warnings %q, error %v", warnings, err)
	}
	if broker, err := rabbit.ParseURL(s.Default.TransportURL); err != nil {
		t.Errorf("the broker %v: %v", broker, err)
	}
	if got, want := s.Database.Connection, "mysql+pymysql://ironic:lab-only@mariadb/ironic?charset=utf8mb4"; got != want {
		t.Errorf("the database is %s, want %s", got, want)
	}
	if s.Default.Host != "f073aa98f3ca" || s.Default.MyIP != "172.18.0.6" {
		t.Errorf("each replica must have a name and an address of its own, not %s and %s", s.Default.Host, s.Default.MyIP)
	}
	found := regexp.MustCompile(`stop_grace_period: (\w+)`).FindSubmatch(text)
	if found == nil {
		t.Fatal("the workers have no stop_grace_period")
	}
	grace, err := time.ParseDuration(string(found[1]))
	// What is held is handed back within 30 s, and events that are owed leave within 5 s.
	if least := s.Default.DrainShutdownTimeout + 35*time.Second; err != nil || grace < least {
		t.Errorf("stop_grace_period is %s (%v), it must be %s at least", grace, err, least)
	}
}

func TestReadyMeansThatAServiceWorksOrHasEndedWell(t *testing.T) {
	for _, c := range []struct {
		container container
		ready     bool
	}{
		{container{Service: "ironmaster", State: "running", Health: "healthy"}, true},
		{container{Service: "ironmaster", State: "running", Health: "starting"}, false},
		{container{Service: "ironmaster", State: "exited"}, false},
		{container{Service: "events", State: "running"}, true},
		{container{Service: "dbsync", State: "running"}, false},
		{container{Service: "dbsync", State: "exited"}, true},
		{container{Service: "dbsync", State: "exited", ExitCode: 1}, false},
	} {
		if got := c.container.ready(); got != c.ready {
			t.Errorf("%+v counts as ready: %t", c.container, got)
		}
	}
}
