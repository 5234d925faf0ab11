package db

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Opcodes of Python's pickle, the few that a dict of text needs.
const (
	pickleProto           = 0x80
	pickleEmptyDict       = '}'
	pickleMark            = '('
	pickleUnicode         = 'X'
	pickleShortUnicode    = 0x8c
	pickleLongUnicode     = 0x8d
	pickleShortString     = 'U'
	pickleSetItem         = 's'
	pickleSetItems        = 'u'
	pickleTrue            = 0x88
	pickleFalse           = 0x89
	pickleNone            = 'N'
	pickleFrame           = 0x95
	picklePut             = 'q'
	pickleLongPut         = 'r'
	pickleMemoize         = 0x94
	pickleGet             = 'h'
	pickleLongGet         = 'j'
	pickleStop            = '.'
	pickleWrittenProtocol = 2
)

// GormDataType tells gorm how the column is stored, which it cannot see from a nil map.
func (InsertHeaders) GormDataType() string { return "bytes" }

// Value implements driver.Valuer: nil is null, else a pickle that every Python 3 reads.
func (h InsertHeaders) Value() (driver.Value, error) {
	if h == nil {
		return nil, nil // null
	}
	out := []byte{pickleProto, pickleWrittenProtocol, pickleEmptyDict}
	if len(h) > 0 {
		out = append(out, pickleMark)
		for _, name := range slices.Sorted(maps.Keys(h)) {
			for _, text := range []string{name, h[name]} {
				out = append(out, pickleUnicode)
				out = binary.LittleEndian.AppendUint32(out, uint32(len(text)))
				out = append(out, text...)
			}
		}
		out = append(out, pickleSetItems)
	}
	return append(out, pickleStop), nil
}

// Scan implements sql.Scanner. Booleans in the dict become "true" and "false".
func (h *InsertHeaders) Scan(src any) error {
	*h = nil
	data, ok := src.([]byte)
	if src == nil || ok && len(data) == 0 {
		return nil
	}
	if !ok {
		return fmt.Errorf("insert_headers is a %T", src)
	}
	r := unpickler{in: bytes.NewBuffer(data)}
	out, err := r.dict()
	if err != nil {
		return fmt.Errorf("read pickle of insert_headers: %w", err)
	}
	*h = out
	return nil
}

// unpickler runs the part of pickle protocols 2 to 5 that builds one flat dict of text. It
// knows no opcode that makes objects, so what it reads cannot do anything.
type unpickler struct {
	in     *bytes.Buffer
	out    InsertHeaders
	stack  []any // string, or dictRef
	byPut  map[uint32]any
	isNull bool
}

// dictRef stands for the one dict on the stack.
type dictRef struct{}

var errPickle = errors.New("not a dict of text")

func (r *unpickler) dict() (InsertHeaders, error) {
	r.byPut = map[uint32]any{}
	for {
		op, err := r.in.ReadByte()
		if err != nil {
			return nil, errPickle
		}
		if op == pickleStop {
			if len(r.stack) != 1 || r.out == nil && !r.isNull {
				return nil, errPickle
			}
			return r.out, nil
		}
		if err := r.step(op); err != nil {
			return nil, err
		}
	}
}

func (r *unpickler) step(op byte) error {
	switch op {
	case pickleProto:
		_, err := r.skip(1)
		return err
	case pickleFrame:
		_, err := r.skip(8)
		return err
	case pickleMark:
		return nil // one dict only: what is on the stack is its content
	case pickleEmptyDict:
		if r.out != nil {
			return errPickle
		}
		r.out = InsertHeaders{}
		r.stack = append(r.stack, dictRef{})
		return nil
	case pickleSetItem, pickleSetItems:
		return r.setItems()
	case pickleUnicode, pickleShortUnicode, pickleLongUnicode, pickleShortString:
		return r.text(op)
	case picklePut, pickleLongPut, pickleMemoize, pickleGet, pickleLongGet:
		return r.remember(op)
	}
	return r.constant(op)
}

func (r *unpickler) constant(op byte) error {
	switch op {
	case pickleTrue:
		r.stack = append(r.stack, "true")
	case pickleFalse:
		r.stack = append(r.stack, "false")
	case pickleNone:
		r.isNull = r.out == nil
		r.stack = append(r.stack, "")
	default:
		return fmt.Errorf("%w: opcode 0x%02x", errPickle, op)
	}
	return nil
}

// setItems moves the pairs above the dict into it.
func (r *unpickler) setItems() error {
	if len(r.stack)%2 == 0 || r.stack[0] != (dictRef{}) {
		return errPickle
	}
	for i := 1; i < len(r.stack); i += 2 {
		name, ok1 := r.stack[i].(string)
		value, ok2 := r.stack[i+1].(string)
		if !ok1 || !ok2 {
			return errPickle
		}
		r.out[name] = value
	}
	r.stack = r.stack[:1]
	return nil
}

func (r *unpickler) text(op byte) error {
	width := map[byte]int{pickleUnicode: 4, pickleShortUnicode: 1, pickleLongUnicode: 8, pickleShortString: 1}[op]
	n, err := r.number(width)
	if err != nil || n > uint64(r.in.Len()) {
		return errPickle
	}
	r.stack = append(r.stack, string(r.in.Next(int(n))))
	return nil
}

// remember stores the top of the stack in the memo or pushes what is stored there. MEMOIZE
// numbers its entries in order, as the Python that writes it does.
func (r *unpickler) remember(op byte) error {
	if op == pickleMemoize {
		if len(r.stack) == 0 {
			return errPickle
		}
		r.byPut[uint32(len(r.byPut))] = r.stack[len(r.stack)-1]
		return nil
	}
	width := 1
	if op == pickleLongPut || op == pickleLongGet {
		width = 4
	}
	n, err := r.number(width)
	if err != nil {
		return err
	}
	key := uint32(n)
	if op == picklePut || op == pickleLongPut {
		if len(r.stack) == 0 {
			return errPickle
		}
		r.byPut[key] = r.stack[len(r.stack)-1]
		return nil
	}
	value, ok := r.byPut[key]
	if !ok {
		return errPickle
	}
	r.stack = append(r.stack, value)
	return nil
}

// number reads a little endian number of so many bytes.
func (r *unpickler) number(width int) (uint64, error) {
	raw, err := r.skip(width)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], raw)
	return binary.LittleEndian.Uint64(full[:]), nil
}

func (r *unpickler) skip(n int) ([]byte, error) {
	if r.in.Len() < n {
		return nil, errPickle
	}
	return r.in.Next(n), nil
}
