package config

import "time"

// Auth is how a group that talks to another OpenStack service authenticates: keystoneauth's options of the password,
// application credential, token, http_basic and none plugins, of sessions and of adapters. The options of the plugin
// come from the group that auth_section names, if it names one.
type Auth struct {
	Section string `opt:"auth_section"`

	Type              string `opt:"auth_type" auth:"true" old:"auth_plugin"`
	URL               string `opt:"auth_url" auth:"true"`
	Username          string `opt:"username" auth:"true" old:"user_name,user-name"`
	UserID            string `opt:"user_id" auth:"true"`
	Password          string `opt:"password" auth:"true" secret:"true"`
	UserDomainName    string `opt:"user_domain_name" auth:"true"`
	UserDomainID      string `opt:"user_domain_id" auth:"true"`
	ProjectName       string `opt:"project_name" auth:"true" old:"tenant_name,tenant-name"`
	ProjectID         string `opt:"project_id" auth:"true" old:"tenant_id,tenant-id"`
	ProjectDomainName string `opt:"project_domain_name" auth:"true"`
	ProjectDomainID   string `opt:"project_domain_id" auth:"true"`
	DomainName        string `opt:"domain_name" auth:"true"`
	DomainID          string `opt:"domain_id" auth:"true"`
	DefaultDomainName string `opt:"default_domain_name" auth:"true"`
	DefaultDomainID   string `opt:"default_domain_id" auth:"true"`
	SystemScope       string `opt:"system_scope" auth:"true"`
	TrustID           string `opt:"trust_id" auth:"true"`
	Token             string `opt:"token" auth:"true" secret:"true"`
	Endpoint          string `opt:"endpoint" auth:"true"` // of the plugins none and http_basic

	ApplicationCredentialID     string `opt:"application_credential_id" auth:"true"`
	ApplicationCredentialName   string `opt:"application_credential_name" auth:"true"`
	ApplicationCredentialSecret string `opt:"application_credential_secret" auth:"true" secret:"true"`

	CAFile   string        `opt:"cafile"`
	CertFile string        `opt:"certfile"`
	KeyFile  string        `opt:"keyfile"`
	Insecure bool          `opt:"insecure" default:"false"`
	Timeout  time.Duration `opt:"timeout"` // of one HTTP request; 0: none is set

	ValidInterfaces  []string `opt:"valid_interfaces" default:"internal,public"` // in order of preference
	RegionName       string   `opt:"region_name"`
	EndpointOverride string   `opt:"endpoint_override"`
}

// Glance is [glance].
type Glance struct {
	Auth
	ServiceType string `opt:"service_type" default:"image"`
	NumRetries  int    `opt:"num_retries" default:"0" min:"0"`
}

// Cinder is [cinder].
type Cinder struct {
	Auth
	ServiceType         string        `opt:"service_type" default:"volumev3"`
	Retries             int           `opt:"retries" default:"3"`        // of a connection that failed
	ActionRetries       int           `opt:"action_retries" default:"3"` // of a detachment that failed
	ActionRetryInterval time.Duration `opt:"action_retry_interval" default:"5"`
}

// Nova is [nova].
type Nova struct {
	Auth
	ServiceType            string `opt:"service_type" default:"compute"`
	SendPowerNotifications bool   `opt:"send_power_notifications" default:"true"`
}

// Swift is [swift].
type Swift struct {
	Auth
	ServiceType string `opt:"service_type" default:"object-store"`
}

// Molds is [molds], which releases up to 36.0 have.
type Molds struct {
	Storage       string        `opt:"storage" default:"swift" choices:"swift|http"`
	User          string        `opt:"user"`
	Password      string        `opt:"password" secret:"true"`
	RetryAttempts int           `opt:"retry_attempts" default:"3" min:"1"`
	RetryInterval time.Duration `opt:"retry_interval" default:"3" min:"0"`
}

// Catalog is [service_catalog]: where this cloud's bare metal API is found.
type Catalog struct {
	Auth
	ServiceType string `opt:"service_type" default:"baremetal"`
}

// Database is [database]. Connection is an SQLAlchemy URL.
type Database struct {
	Connection            string        `opt:"connection" default:"sqlite:///$state_path/ironic.sqlite" old:"DEFAULT.sql_connection,database.sql_connection,sql.connection" secret:"true"`
	MaxRetries            int           `opt:"max_retries" default:"10" old:"DEFAULT.sql_max_retries,database.sql_max_retries"` // first connection; -1 for ever
	RetryInterval         time.Duration `opt:"retry_interval" default:"10" old:"DEFAULT.sql_retry_interval,database.reconnect_interval"`
	MaxPoolSize           int           `opt:"max_pool_size" default:"5"`
	MaxOverflow           int           `opt:"max_overflow" default:"50" old:"DEFAULT.sql_max_overflow,database.sqlalchemy_max_overflow"`
	ConnectionRecycleTime time.Duration `opt:"connection_recycle_time" default:"3600"`
	MySQLSQLMode          string        `opt:"mysql_sql_mode" default:"TRADITIONAL"`
}

// Rabbit is [oslo_messaging_rabbit], overridden by the query of transport_url.
type Rabbit struct {
	SSL                bool   `opt:"ssl" default:"false" old:"rabbit_use_ssl"`
	SSLVersion         string `opt:"ssl_version" default:"" old:"kombu_ssl_version"`
	SSLKeyFile         string `opt:"ssl_key_file" default:"" old:"kombu_ssl_keyfile"`
	SSLCertFile        string `opt:"ssl_cert_file" default:"" old:"kombu_ssl_certfile"`
	SSLCAFile          string `opt:"ssl_ca_file" default:"" old:"kombu_ssl_ca_certs"` // the server is verified only when set
	SSLEnforceHostname bool   `opt:"ssl_enforce_hostname_verification" default:"false" defaultNew:"true"`
	LoginMethod        string `opt:"rabbit_login_method" default:"AMQPLAIN" old:"DEFAULT.rabbit_login_method" choices:"PLAIN|AMQPLAIN|EXTERNAL|RABBIT-CR-DEMO"`

	RetryInterval               time.Duration `opt:"rabbit_retry_interval" default:"1"`
	RetryBackoff                time.Duration `opt:"rabbit_retry_backoff" default:"2" old:"DEFAULT.rabbit_retry_backoff"`
	IntervalMax                 time.Duration `opt:"rabbit_interval_max" default:"30"`
	KombuReconnectDelay         time.Duration `opt:"kombu_reconnect_delay" default:"1.0" min:"0" max:"4.5" float:"true" old:"DEFAULT.kombu_reconnect_delay"`
	MissingConsumerRetryTimeout time.Duration `opt:"kombu_missing_consumer_retry_timeout" default:"60" old:"kombu_reconnect_timeout"`
	HeartbeatTimeoutThreshold   time.Duration `opt:"heartbeat_timeout_threshold" default:"60" min:"0"` // 0: no heartbeats
	QoSPrefetchCount            int           `opt:"rabbit_qos_prefetch_count" default:"0" min:"0" max:"65535"`

	// The options below decide the arguments of exchanges and queues and must equal those of ironic-api.
	EnableCancelOnFailover bool          `opt:"enable_cancel_on_failover" default:"false"`
	AMQPDurableQueues      bool          `opt:"amqp_durable_queues" default:"false"`
	AMQPAutoDelete         bool          `opt:"amqp_auto_delete" default:"false" old:"DEFAULT.amqp_auto_delete"`
	HAQueues               bool          `opt:"rabbit_ha_queues" default:"false" old:"DEFAULT.rabbit_ha_queues"`
	QuorumQueue            bool          `opt:"rabbit_quorum_queue" default:"false"`
	QuorumDeliveryLimit    int           `opt:"rabbit_quorum_delivery_limit" default:"0"`
	QuorumMaxMemoryLength  int           `opt:"rabbit_quorum_max_memory_length" default:"0" old:"rabbit_quroum_max_memory_length"`
	QuorumMaxMemoryBytes   int           `opt:"rabbit_quorum_max_memory_bytes" default:"0" old:"rabbit_quroum_max_memory_bytes"`
	TransientQuorumQueue   bool          `opt:"rabbit_transient_quorum_queue" default:"false"`
	TransientQueuesTTL     time.Duration `opt:"rabbit_transient_queues_ttl" default:"1800" min:"0"`
	StreamFanout           bool          `opt:"rabbit_stream_fanout" default:"false"`
	UseQueueManager        bool          `opt:"use_queue_manager" default:"false"`
	QueueManagerHostname   string        `opt:"hostname"`
	QueueManagerProcess    string        `opt:"processname"`
}

// Notifications is [oslo_messaging_notifications].
type Notifications struct {
	Drivers      []string `opt:"driver" multi:"true" old:"DEFAULT.notification_driver"`                                 // none: notifications are dropped
	Topics       []string `opt:"topics" default:"notifications" old:"rpc_notifier2.topics,DEFAULT.notification_topics"` // of unversioned ones: sensor data
	TransportURL string   `opt:"transport_url" secret:"true" old:"DEFAULT.notification_transport_url"`                  // empty: [DEFAULT]transport_url
}
