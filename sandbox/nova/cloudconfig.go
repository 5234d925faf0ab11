package nova

import (
	"bytes"
	"encoding/base64"

	"go.yaml.in/yaml/v3"
)

// cloudConfigFiles reads write_files of a cloud-config document; other documents have none.
func cloudConfigFiles(data []byte) (map[string][]byte, error) {
	files := map[string][]byte{}
	if !bytes.HasPrefix(data, []byte("#cloud-config")) {
		return files, nil
	}
	var doc struct {
		Files []struct {
			Path     string `yaml:"path"`
			Content  string `yaml:"content"`
			Encoding string `yaml:"encoding"`
		} `yaml:"write_files"`
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	for _, f := range doc.Files {
		content := []byte(f.Content)
		if f.Encoding == "b64" || f.Encoding == "base64" {
			decoded, err := base64.StdEncoding.DecodeString(f.Content)
			if err != nil {
				return nil, err
			}
			content = decoded
		}
		files[f.Path] = content
	}
	return files, nil
}
