package config

import "time"

// JSONRPC is what a conductor reads of [json_rpc]: how requests come with rpc_transport = json-rpc. The rest of the group
// is for ironic-api, which sends them.
type JSONRPC struct {
	HostIP string `opt:"host_ip" default:"::"`
	Port   int    `opt:"port" default:"8089" min:"0" max:"65535"`

	UnixSocket     string `opt:"unix_socket"`      // instead of host_ip and port
	UnixSocketMode string `opt:"unix_socket_mode"` // an octal number

	UseSSL            bool   `opt:"use_ssl" default:"false"`
	CertFile          string `opt:"cert_file"` // these two: [ssl] when unset
	KeyFile           string `opt:"key_file"`
	TLSMinimumVersion string `opt:"server_tls_minimum_version" default:"1.2" defaultNew:"1.3" choices:"1.2|1.3" old:"tls_minimum_version"`

	AuthStrategy      string   `opt:"auth_strategy" choices:"noauth|keystone|http_basic"` // empty: [DEFAULT]auth_strategy
	AllowedRoles      []string `opt:"allowed_roles" default:"admin"`
	HTTPBasicUserFile string   `opt:"http_basic_auth_user_file" default:"/etc/ironic/htpasswd-json-rpc"`
}

// SSL is oslo.service's [ssl]: the server's certificate for JSON-RPC. With CAFile clients have to present one of theirs.
type SSL struct {
	CertFile string `opt:"cert_file" old:"DEFAULT.ssl_cert_file"`
	KeyFile  string `opt:"key_file" old:"DEFAULT.ssl_key_file"`
	CAFile   string `opt:"ca_file" old:"DEFAULT.ssl_ca_file"`
}

// Keystone is [keystone_authtoken]: how the tokens of those who send JSON-RPC are looked at.
type Keystone struct {
	Auth
	WWWAuthenticateURI string        `opt:"www_authenticate_uri" old:"auth_uri"`     // what those without a token are told
	TokenCacheTime     time.Duration `opt:"token_cache_time" default:"300" min:"-1"` // -1: every token is looked at every time
	ConnectTimeout     time.Duration `opt:"http_connect_timeout"`                    // 0: none is set
	MaxRetries         int           `opt:"http_request_max_retries" default:"3" min:"0"`
}
