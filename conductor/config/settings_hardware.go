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
	Terminal                   string        `opt:"terminal" default:"shellinaboxd"`          // Shell In A Box alone
	TerminalCertDir            string        `opt:"terminal_cert_dir"`                        // likewise
	TerminalPIDDir             string        `opt:"terminal_pid_dir"`                         // [DEFAULT]tempdir when empty
	TerminalTimeout            time.Duration `opt:"terminal_timeout" default:"600" min:"0"`   // of a user who types nothing; 0: none
	SubprocessCheckingInterval time.Duration `opt:"subprocess_checking_interval" default:"1"` // while a console starts
	SubprocessTimeout          time.Duration `opt:"subprocess_timeout" default:"10"`          // to start
	KillTimeout                time.Duration `opt:"kill_timeout" default:"1"`                 // to end
	SocatAddress               string        `opt:"socat_address" default:"$my_ip"`
	PortRange                  []string      `opt:"port_range"` // START:STOP, the newest release takes several
}

// VNC is [vnc], as far as it is the conductor's and not ironic-novncproxy's.
type VNC struct {
	PublicURL          string        `opt:"public_url"`
	ReadOnly           bool          `opt:"read_only" default:"false"`
	TokenTimeout       time.Duration `opt:"token_timeout" default:"600" min:"10"`
	ExpiryInterval     time.Duration `opt:"expire_console_session_interval" default:"120" min:"1"`
	ContainerProvider  string        `opt:"container_provider" default:"fake"`
	ConsoleImage       string        `opt:"console_image"`
	SystemdTemplate    string        `opt:"systemd_container_template" default:"$pybasedir/console/container/ironic-console.container.template"`
	SystemdPort        string        `opt:"systemd_container_publish_port" default:"$my_ip::5900"`
	KubernetesTemplate string        `opt:"kubernetes_container_template" default:"$pybasedir/console/container/ironic-console-pod.yaml.template"`
	PodTimeout         time.Duration `opt:"kubernetes_pod_timeout" default:"120"`
	Executable         string        `opt:"container_executable" default:"docker"`
	EngineHost         string        `opt:"container_host"`
	CommandTemplate    string        `opt:"container_command_template" default:"$pybasedir/console/container/ironic-console-container.template"`
	CommandPort        string        `opt:"container_publish_port" default:"$my_ip::5900"`
	ReadyTimeout       time.Duration `opt:"wait_for_ready_timeout" default:"10" min:"1"`
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
	// EnableForConductor sends what [metrics]backend = collector keeps.
	EnableForConductor bool `opt:"enable_for_conductor" default:"true"`
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
