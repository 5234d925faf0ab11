package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/config"
)

// write puts text into a file and returns its path.
func write(t *testing.T, dir, file, text string) string {
	t.Helper()
	path := filepath.Join(dir, file)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load reads one file that holds text.
func load(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	return config.Load([]string{write(t, t.TempDir(), "octavia.conf", text)}, nil)
}

func mustLoad(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := load(t, text)
	if err != nil {
		t.Fatalf("got error %v, want none", err)
	}
	return cfg
}

func TestDefaults(t *testing.T) {
	cfg, err := config.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	checks := map[string][2]any{
		"host":                        {cfg.Default.Host, host},
		"graceful_shutdown_timeout":   {cfg.Default.GracefulShutdownTimeout, time.Minute},
		"bind_host":                   {cfg.APISettings.BindHost, netip.MustParseAddr("127.0.0.1")},
		"bind_port":                   {cfg.APISettings.BindPort, 9876},
		"pagination_max_limit":        {cfg.APISettings.PaginationMaxLimit, 1000},
		"enabled_provider_drivers":    {len(cfg.APISettings.EnabledProviderDrivers), 2},
		"tls versions":                {strings.Join(cfg.APISettings.DefaultPoolTLSVersions, " "), "TLSv1.2 TLSv1.3"},
		"pending_changes":             {cfg.APISettings.PendingChanges, "accept"},
		"connection":                  {cfg.Database.Connection.Reveal(), ""},
		"connection_recycle_time":     {cfg.Database.ConnectionRecycleTime, time.Hour},
		"timeout_client_data":         {cfg.HAProxyAmphora.TimeoutClientData, 50 * time.Second},
		"cert_validity_time":          {cfg.Certificates.CertValidityTime, 30 * 24 * time.Hour},
		"server_certs_key_passphrase": {len(cfg.Certificates.ServerCertsKeyPassphrase), 1},
		"administrative_log_facility": {cfg.AmphoraAgent.AdministrativeLogFacility, 1},
		"heartbeat_timeout":           {cfg.HealthManager.HeartbeatTimeout, time.Minute},
		"failover_threshold":          {cfg.HealthManager.FailoverThreshold, 0},
		"default_pool_quota":          {cfg.Quotas.DefaultPoolQuota, -1},
		"max_request_body_size":       {cfg.OsloMiddleware.MaxRequestBodySize, 114688},
		"policy_dirs":                 {strings.Join(cfg.OsloPolicy.PolicyDirs, " "), "policy.d"},
		"policy_default_rule":         {cfg.OsloPolicy.PolicyDefaultRule, "default"},
		"allowed_origin":              {len(cfg.CORS.AllowedOrigin), 0},
		"allow_methods":               {strings.Join(cfg.CORS.AllowMethods, " "), "GET PUT POST DELETE"},
		"max_age":                     {cfg.CORS.MaxAge, time.Hour},
		"valid_vip_networks":          {cfg.Networking.ValidVIPNetworks == nil, true},
		"warnings":                    {len(cfg.Warnings), 0},
	}
	for what, c := range checks {
		if c[0] != c[1] {
			t.Errorf("%s: got %v, want %v", what, c[0], c[1])
		}
	}
}

// TestPath: relative names are looked for where the configuration is, the last file's first.
func TestPath(t *testing.T) {
	first, second, more := t.TempDir(), t.TempDir(), t.TempDir()
	var files []string
	for _, dir := range []string{first, second} {
		path := filepath.Join(dir, "octavia.conf")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	cfg, err := config.Load(files, []string{more})
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{more, second, first, filepath.Join(home, ".octavia"), home, "/etc/octavia", "/etc"}
	if !slices.Equal(cfg.Path, want) {
		t.Errorf("got %q, want %q", cfg.Path, want)
	}
}

// TestValues reads one value each and shows what became of it.
func TestValues(t *testing.T) {
	tests := map[string]struct {
		text string
		get  func(*config.Config) any
		want any
	}{
		"colon separates":        {"[api_settings]\nbind_port: 80", port, 80},
		"first separator counts": {"[database]\nconnection = mysql://u:p@h/o?a=b:c", connection, "mysql://u:p@h/o?a=b:c"},
		"colon before equals":    {"[database]\nconnection: sqlite:///a=b", connection, "sqlite:///a=b"},
		"group in other case":    {"[API_Settings]\nbind_port = 81", port, 81},
		"key with dashes":        {"[api_settings]\nbind-port = 82", port, 82},
		"last line wins":         {"[api_settings]\nbind_port = 1\nbind_port = 2", port, 2},
		"group goes on":          {"[api_settings]\nbind_port = 1\n[nova]\n[api_settings]\nbind_port = 3", port, 3},
		"comment":                {"# x\n; y\n[api_settings]\n#bind_port = 1\nbind_port = 4", port, 4},
		"hash inside value":      {"[DEFAULT]\nhost = a#b ; c", host, "a#b ; c"},
		"windows line ends":      {"[api_settings]\r\nbind_port = 5\r\n", port, 5},
		"no line end":            {"[api_settings]\nbind_port = 6", port, 6},
		"quotes":                 {"[DEFAULT]\nhost = 'a b '", host, "a b "},
		"double quotes":          {"[DEFAULT]\nhost = \"a 'b'\"", host, "a 'b'"},
		"unlike quotes":          {"[DEFAULT]\nhost = \"a'", host, "\"a'"},
		"one quote":              {"[DEFAULT]\nhost = '", host, "'"},
		"continuation":           {"[DEFAULT]\nhost = a\n  b\n\tc", host, "a\nb\nc"},
		"blank ends continuation, comment does too": {"[DEFAULT]\nhost = a\n b\n# x\n[nova]\n", host, "a\nb"},
		"list over lines":        {"[networking]\nreserved_ips = 10.0.0.1,\n  10.0.0.2 ,\n  10.0.0.3", reserved, "10.0.0.1|10.0.0.2|10.0.0.3"},
		"list starts on next":    {"[networking]\nreserved_ips =\n  10.0.0.1\n", reserved, "10.0.0.1"},
		"list with stray commas": {"[networking]\nreserved_ips = ,a,,b,", reserved, "a|b"},
		"empty list":             {"[networking]\nreserved_ips =", reserved, ""},
		"empty number":           {"[health_manager]\nfailover_threshold =", threshold, 0},
		"boolean yes":            {"[DEFAULT]\ndebug = YES", debug, true},
		"boolean on":             {"[DEFAULT]\ndebug = on", debug, true},
		"boolean 0":              {"[DEFAULT]\ndebug = 1\ndebug = 0", debug, false},
		"seconds with fraction":  {"[haproxy_amphora]\nrest_request_conn_timeout = 0.25", connTimeout, 250 * time.Millisecond},
		"milliseconds":           {"[haproxy_amphora]\ntimeout_client_data = 1500", clientData, 1500 * time.Millisecond},
		"limit infinite":         {"[api_settings]\npagination_max_limit = Infinite", limit, -1},
		"limit negative":         {"[api_settings]\npagination_max_limit = -7", limit, -1},
		"map":                    {"[api_settings]\nenabled_provider_drivers = amphora: A: b, x:", providers, "map[amphora:A: b x:]"},
		"old key":                {"[api_settings]\ntls_cipher_blacklist = NULL", prohibited, "NULL"},
		"new key beats old":      {"[api_settings]\ntls_cipher_prohibit_list = A\ntls_cipher_blacklist = B", prohibited, "A"},
		"old key of other group": {"[health_manager]\nstats_update_driver = stats_logger", statistics, "stats_logger"},
		"old group":              {"[keystone_authtoken_v3]\nauth_url = http://k", keystone, "http://k"},
		"reference":              {"[DEFAULT]\nlog_dir = /l\nlog_file = $log_dir/x", logFile, "/l/x"},
		"reference in braces":    {"[DEFAULT]\nlog_dir = /l\nlog_file = ${log_dir}x", logFile, "/lx"},
		"reference to group":     {"[DEFAULT]\nlog_file = p$api_settings.bind_port", logFile, "p9876"},
		"reference to DEFAULT":   {"[DEFAULT]\nhost = h\n[nova]\nendpoint = http://$host/", endpoint, "http://h/"},
		"reference to unread":    {"[DEFAULT]\nmy_ip = 1.2.3.4\nlog_file = $my_ip", logFile, "1.2.3.4"},
		"reference of reference": {"[DEFAULT]\nhost = h\nlog_dir = /$host\nlog_file = $log_dir/f", logFile, "/h/f"},
		"two dollars":            {"[database]\nconnection = a$$host", connection, "a$host"},
		"escaped dollar":         {"[database]\nconnection = a\\$host", connection, "a$host"},
		"dollar alone":           {"[database]\nconnection = a$1$", connection, "a$1$"},
		"log format":             {"[haproxy_amphora]\nuser_log_format = '{{ lb_id }} %{+Q}r'", logFormat, "{{ lb_id }} %{+Q}r"},
		"policy directories":     {"[oslo_policy]\npolicy_dirs = a\npolicy_dirs = b", policyDirs, "a|b"},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			cfg := mustLoad(t, tt.text)
			if got := tt.get(cfg); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func port(c *config.Config) any        { return c.APISettings.BindPort }
func host(c *config.Config) any        { return c.Default.Host }
func debug(c *config.Config) any       { return c.Default.Debug }
func logFile(c *config.Config) any     { return c.Default.LogFile }
func connection(c *config.Config) any  { return c.Database.Connection.Reveal() }
func reserved(c *config.Config) any    { return strings.Join(c.Networking.ReservedIPs, "|") }
func policyDirs(c *config.Config) any  { return strings.Join(c.OsloPolicy.PolicyDirs, "|") }
func threshold(c *config.Config) any   { return c.HealthManager.FailoverThreshold }
func connTimeout(c *config.Config) any { return c.HAProxyAmphora.RESTRequestConnTimeout }
func clientData(c *config.Config) any  { return c.HAProxyAmphora.TimeoutClientData }
func logFormat(c *config.Config) any   { return c.HAProxyAmphora.UserLogFormat }
func limit(c *config.Config) any       { return c.APISettings.PaginationMaxLimit }
func providers(c *config.Config) any   { return fmt.Sprint(c.APISettings.EnabledProviderDrivers) }
func prohibited(c *config.Config) any  { return c.APISettings.TLSCipherProhibitList }
func statistics(c *config.Config) any  { return strings.Join(c.ControllerWorker.StatisticsDrivers, "|") }
func keystone(c *config.Config) any    { return c.KeystoneAuthtoken.AuthURL }
func endpoint(c *config.Config) any    { return c.Nova.Endpoint }

// TestRefused gives values that stop the start, and what the error must say.
func TestRefused(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"number":           {"[api_settings]\nbind_port = x", `:2: [api_settings] bind_port: "x" is not a whole number`},
		"port":             {"[api_settings]\nbind_port = 65536", "65536 is above 65535"},
		"minimum":          {"[controller_worker]\nworkers = 0", "0 is below 1"},
		"maximum":          {"[amphora_agent]\nuser_log_facility = 8", "8 is above 7"},
		"boolean":          {"[DEFAULT]\ndebug = maybe", "not a boolean"},
		"address":          {"[health_manager]\nbind_ip = localhost", "not an IP address"},
		"choice":           {"[controller_worker]\nloadbalancer_topology = TRIPLE", "none of SINGLE, ACTIVE_STANDBY"},
		"choice of a list": {"[api_settings]\ndefault_pool_tls_versions = TLSv1.2, TLSv9", `"TLSv9" is none of`},
		"ALPN":             {"[api_settings]\ndefault_pool_alpn_protocols = h3", `"h3" is none of`},
		"address and port": {"[health_manager]\ncontroller_ip_port_list = 1.2.3.4:5555, ::1:5555", `"::1:5555" is not address:port`},
		"map":              {"[api_settings]\nenabled_provider_drivers = amphora", "not name:value"},
		"map twice":        {"[api_settings]\nenabled_provider_drivers = a:b, a:c", "given twice"},
		"seconds":          {"[house_keeping]\ncleanup_interval = soon", "not a number of seconds"},
		"not a number":     {"[house_keeping]\ncleanup_interval = NaN", "not a number of seconds"},
		"negative":         {"[house_keeping]\ncleanup_interval = -1", "negative"},
		"overlong":         {"[house_keeping]\ncleanup_interval = 1e30", "too long"},
		"volumes":          {"[controller_worker]\nvolume_driver = volume_cinder_driver", "cannot boot from volumes"},
		"template":         {"[haproxy_amphora]\nhaproxy_template = /x.j2", "Jinja2"},
		"log template":     {"[amphora_agent]\nlogging_template_override = /x", "Jinja2"},
		"TLS floor":        {"[api_settings]\nminimum_tls_version = TLSv1.3", "default_listener_tls_versions: TLSv1.2 is below"},
		"cipher":           {"[api_settings]\ntls_cipher_prohibit_list = TLS_AES_128_GCM_SHA256", "default_listener_ciphers: TLS_AES_128_GCM_SHA256 is on"},
		"circle":           {"[DEFAULT]\nlog_dir = $log_file\nlog_file = $log_dir", "refers to itself"},
		"nowhere":          {"[DEFAULT]\nlog_file = $nothing", "$nothing refers to no option"},
		"no group":         {"debug = true", "before the first group"},
		"continuation":     {"[DEFAULT]\n\n  debug = true", ":3: unexpected continuation"},
		"bracket":          {"[DEFAULT\n", ":1: group header without a closing bracket"},
		"empty group":      {"[]\n", "without a name"},
		"no separator":     {"[DEFAULT]\ndebug\n", ":2: neither"},
		"no key":           {"[DEFAULT]\n= x\n", "a value without a key"},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			cfg, err := load(t, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got error %v, want one with %q", err, tt.want)
			}
			if cfg != nil {
				t.Errorf("got a configuration with the error")
			}
		})
	}
}

func TestAllRefusedAtOnce(t *testing.T) {
	_, err := load(t, "[api_settings]\nbind_port = x\n[DEFAULT]\ndebug = y\n[quotas]\ndefault_pool_quota = -2\n")
	for _, key := range []string{"bind_port", "debug", "default_pool_quota"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("got %v, want %s in it", err, key)
		}
	}
	var refused *config.ValueError
	if !errors.As(err, &refused) || refused.Group == "" {
		t.Errorf("got %T, want *config.ValueError with its group", err)
	}
}

const secret = "c0rrect-horse"

// TestSecretsStayHidden prints a configuration, and errors about secrets, in every way there is.
func TestSecretsStayHidden(t *testing.T) {
	cfg := mustLoad(t, "[service_auth]\npassword = "+secret+"\n[database]\nconnection = mysql://u:"+secret+
		"@h/o\n[health_manager]\nheartbeat_key = "+secret+"\n")
	if got := cfg.ServiceAuth.Password.Reveal(); got != secret {
		t.Fatalf("got %q, want the secret", got)
	}
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).InfoContext(t.Context(), "x", "password", cfg.ServiceAuth.Password, "cfg", *cfg)
	shown := []string{log.String(), string(asJSON), fmt.Sprintf("%v %+v %#v %x", *cfg, *cfg, *cfg, cfg.Database.Connection)}
	for _, text := range []string{
		"[certificates]\nserver_certs_key_passphrase = " + secret,
		"[service_auth]\npassword = $" + secret,
		"[service_auth]\npassword " + secret,
	} {
		_, err := load(t, text)
		if err == nil {
			t.Fatal("got no error")
		}
		shown = append(shown, err.Error())
	}
	for _, s := range shown {
		if strings.Contains(s, secret) || strings.Contains(s, fmt.Sprintf("%x", secret)) {
			t.Errorf("the secret shows in %s", s)
		}
	}
}

func TestFilesDirectoriesEnvironment(t *testing.T) {
	dir, conf := t.TempDir(), t.TempDir()
	first := write(t, dir, "a.conf", "[api_settings]\nbind_port = 1\nauth_strategy = noauth\n[oslo_policy]\npolicy_dirs = a\n")
	second := write(t, dir, "b.conf", "[api_settings]\nbind_port = 2\n")
	write(t, conf, "20.conf", "[api_settings]\nbind_port = 20\n")
	write(t, conf, "10.conf", "[api_settings]\nbind_port = 10\n[oslo_policy]\npolicy_dirs = b\n")
	write(t, conf, "30.ini", "[api_settings]\nbind_port = 30\n")
	files := []string{first, second}

	check := func(dirs []string, want int) {
		t.Helper()
		cfg, err := config.Load(files, dirs)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.APISettings.BindPort != want || cfg.APISettings.AuthStrategy != "noauth" {
			t.Errorf("got port %d and %s, want %d and noauth", cfg.APISettings.BindPort, cfg.APISettings.AuthStrategy, want)
		}
		if dirs != nil && len(cfg.OsloPolicy.PolicyDirs) != 2 {
			t.Errorf("got %v, want both directories", cfg.OsloPolicy.PolicyDirs)
		}
	}
	check(nil, 2)
	check([]string{conf}, 20)
	t.Setenv("OS_API_SETTINGS__BIND_PORT", "99")
	check([]string{conf}, 99)
	t.Setenv("OS_API_SETTINGS__BIND_PORT", "many")
	if _, err := config.Load(files, nil); err == nil || !strings.Contains(err.Error(), "environment OS_API_SETTINGS__BIND_PORT") {
		t.Errorf("got %v, want the variable named", err)
	}
}

func TestMissing(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	if _, err := config.Load([]string{gone}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("file: got %v, want ErrNotExist", err)
	}
	if _, err := config.Load(nil, []string{gone}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory: got %v, want ErrNotExist", err)
	}
}

func TestEnvironmentGivesDefaults(t *testing.T) {
	t.Setenv("OS_OCTAVIA_TLS_CA_CERT", "/from/env.pem")
	if got := mustLoad(t, "").Certificates.CACertificate; got != "/from/env.pem" {
		t.Errorf("got %s, want the variable's value", got)
	}
	if got := mustLoad(t, "[certificates]\nca_certificate = /f.pem").Certificates.CACertificate; got != "/f.pem" {
		t.Errorf("got %s, want the file's value", got)
	}
}

func TestWarnings(t *testing.T) {
	cfg := mustLoad(t, `[DEFAULT]
transport_url = rabbit://u:p@h
logging_context_format_string = %(message)s
api_handler = queue_producer
[controler_worker]
workers = 3
[house_keeping]
spare_amphora_pool_size = 2
[oslo_messaging_rabbit]
anything = 1
[keystone_authtoken]
memcached_servers = h:11211
service_token_roles_required = true
[networking]
max_retries = 15
retry_max = 20
[controller_worker]
event_notifications = True
[health_manager]
status_update_threads = 4
[amphora_agent]
agent_tls_protocol = TLSv1.1
`)
	var got []string
	for _, w := range cfg.Warnings {
		got = append(got, w[strings.Index(w, "["):])
	}
	want := []string{
		"[DEFAULT] api_handler is not an option and is ignored",
		"[controler_worker] workers belongs to no known group and is ignored",
		"[house_keeping] spare_amphora_pool_size is not an option and is ignored",
		"[keystone_authtoken] service_token_roles_required has no effect: service tokens are not looked at",
		"[networking] retry_max has no effect: failed calls are repeated with growing waits until they succeed",
		"[health_manager] stats_update_threads has no effect: statistics are handled with the heartbeat",
		"[amphora_agent] agent_tls_protocol: agents and controllers speak TLSv1.2 at least, not TLSv1.1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestNeutronInherits(t *testing.T) {
	const service = "[service_auth]\nauth_url = http://k\nauth_type = v3password\nusername = octavia\npassword = pw\ncafile = /ca\nregion_name = R1\n"
	t.Run("what is missing", func(t *testing.T) {
		n := mustLoad(t, service+"[neutron]\nregion_name = R2\nendpoint = http://n\nendpoint_type = internalURL\n").Neutron
		if n.AuthURL != "http://k" || n.Username != "octavia" || n.Password.Reveal() != "pw" || n.CAFile != "/ca" {
			t.Errorf("got %+v, want service_auth's credentials", n)
		}
		if n.RegionName != "R2" || n.EndpointOverride != "http://n" || strings.Join(n.ValidInterfaces, " ") != "internal" {
			t.Errorf("got %+v, want its own region, endpoint and interface", n)
		}
	})
	t.Run("only auth_type beside own credentials", func(t *testing.T) {
		n := mustLoad(t, service+"[neutron]\nauth_url = http://k2\nusername = neutron\npassword = pw2\n").Neutron
		if n.AuthURL != "http://k2" || n.Password.Reveal() != "pw2" || n.CAFile != "" || n.AuthType != "v3password" {
			t.Errorf("got %+v, want its own credentials, no CA and service_auth's auth_type", n)
		}
	})
}

func TestLogPath(t *testing.T) {
	tests := []struct{ file, dir, want string }{
		{"", "", ""},
		{"a.log", "", "a.log"},
		{"a.log", "/d", "/d/a.log"},
		{"/x/a.log", "/d", "/x/a.log"},
		{"", "/d", "/d/ottavino-api.log"},
	}
	for _, tt := range tests {
		if got := (config.Default{LogFile: tt.file, LogDir: tt.dir}).LogPath("ottavino-api"); got != tt.want {
			t.Errorf("%q in %q: got %q, want %q", tt.file, tt.dir, got, tt.want)
		}
	}
}

func TestFind(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	if err := os.Mkdir(filepath.Join(home, ".octavia"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, home, "octavia.conf", "")
	want := write(t, filepath.Join(home, ".octavia"), "octavia.conf", "")
	files, _ := config.Find()
	if len(files) != 1 || files[0] != want {
		t.Errorf("got %v, want %s", files, want)
	}
}

// TestDeclarations finds options that are declared twice or whose default their own limits refuse.
func TestDeclarations(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range config.Options() {
		at := o.Group + "." + o.Key
		if seen[at] {
			t.Errorf("%s is declared twice", at)
		}
		seen[at] = true
	}
	if len(seen) < 200 {
		t.Errorf("got %d options, want all of the groups", len(seen))
	}
}
