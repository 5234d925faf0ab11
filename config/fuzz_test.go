package config_test

import (
	"os"
	"testing"

	"github.com/ottavino/ottavino/config"
)

// FuzzLoad feeds arbitrary files: there is a configuration or an error, never both or a panic, and
// what is accepted once is accepted again.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"",
		"[DEFAULT]\nhost = $host\n",
		"[DEFAULT]\nlog_dir = ${log_file}\nlog_file = $$ $DEFAULT.log_dir $\n",
		"[api_settings]\nenabled_provider_drivers = a:b, c\n",
		"[oslo_policy]\npolicy_dirs = a\npolicy_dirs = $neutron.cafile\n",
		"[certificates]\nserver_certs_key_passphrase = insecure-key-do-not-use-this-key,\n  x\n",
		"[]\n", "[", " x", "=", "[a]\n=\n", "[a]\nk = '\n",
	} {
		f.Add(seed)
	}
	path := f.TempDir() + "/octavia.conf"
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load([]string{path}, nil)
		if (cfg == nil) == (err == nil) {
			t.Fatalf("got %v and error %v, want one of them", cfg, err)
		}
		if _, again := config.Load([]string{path}, nil); (again == nil) != (err == nil) {
			t.Errorf("got %v the second time, %v the first", again, err)
		}
	})
}
