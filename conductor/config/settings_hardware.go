package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// IPMI is [ipmi].
type IPMI struct {
	CommandRetryTimeout  time.Duration `opt:"command_retry_timeout" default:"60" min:"1"`
	MinCommandInterval   time.Duration `opt:"min_command_interval" default:"5" min:"1"`
	UseIpmitoolRetries   bool          `opt:"use_ipmitool_retries" default:"false"`
	KillOnTimeout        bool          `opt:"kill_on_timeout" default:"true"`
	DisableBootTimeout   bool          `opt:"disable_boot_timeout" default:"true"`
	AdditionalRetryable  []string      `opt:"additional_retryable_ipmi_errors" multi:"true"` // parts of ipmitool's texts
	Debug                bool          `opt:"debug" default:"false"`
	CipherSuiteVersions  []string      `opt:"cipher_suite_versions"` // tried from the last to the first
	StoreCredentialInEnv bool          `opt:"store_cred_in_env" default:"false"`
}

// Console is [console].
type Console struct {
	TerminalPIDDir             string        `opt:"terminal_pid_dir"`                         // [DEFAULT]tempdir when empty
	TerminalTimeout            time.Duration `opt:"terminal_timeout" default:"600" min:"0"`   // of a user who types nothing; 0: none
	SubprocessCheckingInterval time.Duration `opt:"subprocess_checking_interval" default:"1"` // while a console starts
	SubprocessTimeout          time.Duration `opt:"subprocess_timeout" default:"10"`          // to start
	KillTimeout                time.Duration `opt:"kill_timeout" default:"1"`                 // to end
	SocatAddress               string        `opt:"socat_address" default:"$my_ip"`
	PortRange                  []string      `opt:"port_range"` // START:STOP, the newest release takes several
}

// SNMP is [snmp].
type SNMP struct {
	PowerTimeout     time.Duration `opt:"power_timeout" default:"10"`
	RebootDelay      time.Duration `opt:"reboot_delay" default:"0" min:"0"`
	PowerActionDelay time.Duration `opt:"power_action_delay" default:"0" min:"0"`
	UDPTimeout       time.Duration `opt:"udp_transport_timeout" default:"1.0" min:"0" float:"true"`
	UDPRetries       int           `opt:"udp_transport_retries" default:"5" min:"0"`
}

// SensorData is [sensor_data].
type SensorData struct {
	Send           bool          `opt:"send_sensor_data" default:"false" old:"conductor.send_sensor_data"`
	Interval       time.Duration `opt:"interval" default:"600" min:"1" old:"conductor.send_sensor_data_interval"`
	Workers        int           `opt:"workers" default:"4" min:"1" old:"conductor.send_sensor_data_workers"`
	WaitTimeout    time.Duration `opt:"wait_timeout" default:"300" old:"conductor.send_sensor_data_wait_timeout"`
	DataTypes      []string      `opt:"data_types" default:"ALL" old:"conductor.send_sensor_data_types"`
	ForUndeployed  bool          `opt:"enable_for_undeployed_nodes" default:"false" old:"conductor.send_sensor_data_for_undeployed_nodes"`
	EnableForNodes bool          `opt:"enable_for_nodes" default:"true"`
}

// PortRange is a range of ports from First up to, and without, Stop.
type PortRange struct{ First, Stop int }

// Ranges are those of port_range.
func (c Console) Ranges(release Release) ([]PortRange, error) {
	var all []PortRange
	for _, text := range c.PortRange {
		from, to, found := strings.Cut(strings.TrimSpace(text), ":")
		first, err := strconv.ParseUint(from, 10, 16)
		stop, err2 := strconv.ParseUint(to, 10, 16)
		if !found || err != nil || err2 != nil || first == 0 || first >= stop {
			return nil, fmt.Errorf("[console]port_range = %q: should be in the format <start>:<stop> and start < stop", text)
		}
		all = append(all, PortRange{int(first), int(stop)})
	}
	if len(all) > 1 && release < Newest {
		return nil, fmt.Errorf("[console]port_range = %q: this release of ironic takes one range", strings.Join(c.PortRange, ","))
	}
	return all, nil
}
