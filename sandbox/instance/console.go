package instance

import (
	"os"
)

// console is the file that the standard output of an instance goes to.
type console struct {
	path string
	file *os.File
}

func newConsole(path string) (*console, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, filePerm)
	if err != nil {
		return nil, err
	}
	return &console{path: path, file: f}, nil
}

func (c *console) text() []byte {
	text, _ := os.ReadFile(c.path)
	return text
}

// tail is the end of the text, for errors.
func (c *console) tail() string {
	const most = 2000
	text := c.text()
	return string(text[max(0, len(text)-most):])
}

func (c *console) close() { _ = c.file.Close() }
