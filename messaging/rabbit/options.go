package rabbit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Options are those of [oslo_messaging_rabbit] that decide what is declared and how the connection is kept.
type Options struct {
	TLS                       bool
	TLSVersion                string
	KeyFile, CertFile, CAFile string
	VerifyHostname            bool
	LoginMethod               string // AMQPLAIN, PLAIN or EXTERNAL
	Heartbeat                 time.Duration
	RetryInterval             time.Duration // first pause between attempts to connect
	RetryBackoff              time.Duration // what each further pause is longer
	RetryMax                  time.Duration
	ReconnectDelay            time.Duration // pause after an established connection was lost
	MissingConsumerTimeout    time.Duration // how long a reply waits for its queue to appear
	Prefetch                  int           // 0 is unlimited
	CancelOnFailover          bool
	DurableQueues             bool
	AutoDelete                bool
	HAQueues                  bool
	QuorumQueue               bool
	QuorumDeliveryLimit       int
	QuorumMaxMemoryLength     int
	QuorumMaxMemoryBytes      int
	TransientQuorumQueue      bool
	TransientTTL              time.Duration
	StreamFanout              bool
	QueueManager              bool
	QueueManagerHost          string
	QueueManagerProcess       string
}

// DefaultOptions are oslo.messaging's.
func DefaultOptions() Options {
	return Options{
		LoginMethod: "AMQPLAIN", Heartbeat: time.Minute, RetryInterval: time.Second, RetryBackoff: 2 * time.Second,
		RetryMax: 30 * time.Second, ReconnectDelay: time.Second, MissingConsumerTimeout: time.Minute,
		TransientTTL: 30 * time.Minute,
	}
}

// Set gives an option by its name in [oslo_messaging_rabbit], as the query of a transport_url does. Durations are in
// seconds. Options that change nothing here, such as those of Python's thread pools, are accepted.
func (o *Options) Set(name, value string) error {
	bools := map[string]*bool{
		"ssl": &o.TLS, "ssl_enforce_hostname_verification": &o.VerifyHostname,
		"enable_cancel_on_failover": &o.CancelOnFailover, "amqp_durable_queues": &o.DurableQueues,
		"amqp_auto_delete": &o.AutoDelete, "rabbit_ha_queues": &o.HAQueues, "rabbit_quorum_queue": &o.QuorumQueue,
		"rabbit_transient_quorum_queue": &o.TransientQuorumQueue, "rabbit_stream_fanout": &o.StreamFanout,
		"use_queue_manager": &o.QueueManager,
	}
	texts := map[string]*string{
		"ssl_version": &o.TLSVersion, "ssl_key_file": &o.KeyFile, "ssl_cert_file": &o.CertFile, "ssl_ca_file": &o.CAFile,
		"rabbit_login_method": &o.LoginMethod, "hostname": &o.QueueManagerHost, "processname": &o.QueueManagerProcess,
	}
	numbers := map[string]*int{
		"rabbit_qos_prefetch_count": &o.Prefetch, "rabbit_quorum_delivery_limit": &o.QuorumDeliveryLimit,
		"rabbit_quorum_max_memory_length": &o.QuorumMaxMemoryLength,
		"rabbit_quorum_max_memory_bytes":  &o.QuorumMaxMemoryBytes,
		"rabbit_quroum_max_memory_length": &o.QuorumMaxMemoryLength,
		"rabbit_quroum_max_memory_bytes":  &o.QuorumMaxMemoryBytes,
	}
	seconds := map[string]*time.Duration{
		"heartbeat_timeout_threshold": &o.Heartbeat, "rabbit_retry_interval": &o.RetryInterval,
		"rabbit_retry_backoff": &o.RetryBackoff, "rabbit_interval_max": &o.RetryMax,
		"kombu_reconnect_delay": &o.ReconnectDelay, "kombu_missing_consumer_retry_timeout": &o.MissingConsumerTimeout,
		"kombu_reconnect_timeout": &o.MissingConsumerTimeout, "rabbit_transient_queues_ttl": &o.TransientTTL,
	}
	switch {
	case bools[name] != nil:
		return setBool(bools[name], name, value)
	case texts[name] != nil:
		*texts[name] = value
	case numbers[name] != nil:
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return fmt.Errorf("option %s is not a whole number", name)
		}
		*numbers[name] = int(n)
	case seconds[name] != nil:
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || n < 0 || n > 1e9 {
			return fmt.Errorf("option %s is not a number of seconds", name)
		}
		*seconds[name] = time.Duration(n * float64(time.Second))
	case !withoutEffect[name]:
		return fmt.Errorf("there is no option %s in [oslo_messaging_rabbit]", name)
	}
	return nil
}

// withoutEffect are options that concern only Python's implementation, or that this one always honours.
var withoutEffect = map[string]bool{
	"ssl_enforce_fips_mode": true, "kombu_compression": true, "kombu_failover_strategy": true, "heartbeat_rate": true,
	"heartbeat_in_pthread": true, "direct_mandatory_flag": true, "rpc_conn_pool_size": true, "conn_pool_min_size": true,
	"conn_pool_ttl": true, "kombu_reconnect_splay": true,
}

func setBool(into *bool, name, value string) error {
	switch strings.ToLower(value) {
	case "true", "1", "yes", "on":
		*into = true
	case "false", "0", "no", "off":
		*into = false
	default:
		return fmt.Errorf("option %s is not a boolean", name)
	}
	return nil
}

// validate refuses what cannot work, before anything is declared on a broker.
func (o *Options) validate() error {
	switch {
	case o.StreamFanout:
		return errors.New("rabbit_stream_fanout is not supported: set it to false on the whole cloud or for ironic")
	case o.QuorumQueue && o.HAQueues:
		return errors.New("rabbit_quorum_queue and rabbit_ha_queues are both set: a queue is quorum or mirrored, not both")
	case o.QueueManager && (o.QueueManagerHost == "" || o.QueueManagerProcess == ""):
		return errors.New("use_queue_manager needs hostname and processname")
	case o.LoginMethod != "AMQPLAIN" && o.LoginMethod != "PLAIN" && o.LoginMethod != "EXTERNAL":
		return fmt.Errorf("rabbit_login_method %q is not supported: use AMQPLAIN, PLAIN or EXTERNAL", o.LoginMethod)
	}
	return nil
}
