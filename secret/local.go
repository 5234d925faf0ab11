package secret

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/google/uuid"
)

// Local is upstream's local_cert_manager: files of a directory, named by UUIDs.
type Local struct{ dir string }

// NewLocal reads from [certificates] storage_path.
func NewLocal(dir string) *Local { return &Local{dir} }

// Bundle reads <uuid>.crt, .key and, if they are there, .int and .pass.
func (l *Local) Bundle(_ context.Context, ref string) (Bundle, error) {
	var p parts
	for _, file := range []struct {
		suffix   string
		into     *[]byte
		optional bool
	}{{".crt", &p.certificate, false}, {".key", &p.key, false}, {".int", &p.intermediates, true}, {".pass", &p.passphrase, true}} {
		content, err := l.read(ref, file.suffix)
		if errors.Is(err, fs.ErrNotExist) && file.optional {
			continue
		}
		if err != nil {
			return Bundle{}, absent(ref, err)
		}
		*file.into = content
	}
	b, err := p.bundle()
	return b, wrong(ref, Unfit, err)
}

// Secret reads <uuid>.crt.
func (l *Local) Secret(_ context.Context, ref string) ([]byte, error) {
	content, err := l.read(ref, ".crt")
	if err != nil {
		return nil, absent(ref, err)
	}
	return content, nil
}

// Admit does nothing: the files are the service's.
func (l *Local) Admit(context.Context, string, string) error { return nil }

func (l *Local) read(ref, suffix string) ([]byte, error) {
	id := path.Base(ref)
	if uuid.Validate(id) != nil {
		return nil, errors.New("it is not named by a UUID")
	}
	return os.ReadFile(filepath.Join(l.dir, id+suffix))
}

// absent is the error for what cannot be read.
func absent(ref string, err error) error {
	reason := err.Error()
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok { // without our directories
		reason = pathErr.Err.Error()
	}
	return &Error{Ref: ref, Kind: Absent, Reason: reason}
}

// wrong is the error for what was read and cannot be used; nil for nil.
func wrong(ref string, kind Kind, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNameless):
		kind = Nameless
	}
	return &Error{Ref: ref, Kind: kind, Reason: err.Error()}
}
