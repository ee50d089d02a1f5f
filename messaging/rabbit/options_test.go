package rabbit

import (
	"strings"
	"testing"
	"time"
)

func TestQueryOverridesOptions(t *testing.T) {
	cfg := Config{URL: "rabbit://h/?rabbit_quorum_queue=true&rabbit_transient_queues_ttl=600&heartbeat_timeout_threshold=30" +
		"&rabbit_login_method=PLAIN&rabbit_qos_prefetch_count=5&kombu_compression=gzip", Options: DefaultOptions()}
	if err := cfg.resolve(); err != nil {
		t.Fatal(err)
	}
	o := cfg.Options
	if !o.QuorumQueue || o.TransientTTL != 10*time.Minute || o.Heartbeat != 30*time.Second || o.LoginMethod != "PLAIN" ||
		o.Prefetch != 5 || o.RetryInterval != time.Second {
		t.Errorf("%+v", o)
	}
}

func TestRefusedConfigurations(t *testing.T) {
	for query, want := range map[string]string{
		"rabbit_stream_fanout=true":                      "rabbit_stream_fanout",
		"rabbit_quorum_queue=true&rabbit_ha_queues=true": "rabbit_ha_queues",
		"use_queue_manager=true":                         "processname",
		"rabbit_login_method=RABBIT-CR-DEMO":             "rabbit_login_method",
		"ssl=maybe":                                      "ssl is not a boolean",
		"rabbit_qos_prefetch_count=-1":                   "rabbit_qos_prefetch_count",
		"heartbeat_timeout_threshold=soon":               "heartbeat_timeout_threshold",
		"no_such_option=1":                               "no_such_option",
	} {
		cfg := Config{URL: "rabbit://u:hunter2@h/?" + query, Options: DefaultOptions()}
		if _, err := NewPublisher(cfg); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// The pauses are oslo.messaging's: 1, 3, 5 and so on up to 30 seconds.
func TestPausesGrowToTheirMaximum(t *testing.T) {
	o := DefaultOptions()
	pause := o.nextPause(0)
	for want := time.Second; want < 30*time.Second; want += 2 * time.Second {
		if pause != want {
			t.Fatalf("pause %v, want %v", pause, want)
		}
		pause = o.nextPause(pause)
	}
	if pause != 30*time.Second || o.nextPause(pause) != 30*time.Second {
		t.Errorf("last pause %v", pause)
	}
	if j := jitter(20 * time.Second); j < 20*time.Second || j >= 25*time.Second {
		t.Errorf("jitter %v", j)
	}
}
