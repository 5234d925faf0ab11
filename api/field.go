package api

// field is one attribute of a body: absent, null, or a value.
type field[T any] struct {
	set   bool // the attribute is there, null included
	null  bool
	value T
}

// given says that the attribute has a value.
func (f field[T]) given() bool { return f.set && !f.null }

// or is the value, or def when the attribute is absent or null.
func (f field[T]) or(def T) T {
	if f.given() {
		return f.value
	}
	return def
}

// absentOr is the value, def when the attribute is absent, and T's zero value when it is null.
func (f field[T]) absentOr(def T) T {
	if !f.set {
		return def
	}
	return f.value
}

// ptr is the value, nil when the attribute is absent or null.
func (f field[T]) ptr() *T {
	if !f.given() {
		return nil
	}
	v := f.value
	return &v
}

// edits collects the columns that a PUT changes while it changes the row.
type edits struct{ columns []string }

// put stores a value in a row's field when the attribute is there; null stores T's zero value.
func put[T any](e *edits, column string, dst *T, f field[T]) {
	putOr(e, column, dst, f, *new(T))
}

// putOr is put with another value for null.
func putOr[T any](e *edits, column string, dst *T, f field[T], null T) {
	if !f.set {
		return
	}
	*dst = f.or(null)
	e.columns = append(e.columns, column)
}

// putPtr stores a value in a nullable field; null clears it.
func putPtr[T any](e *edits, column string, dst **T, f field[T]) {
	if !f.set {
		return
	}
	*dst = f.ptr()
	e.columns = append(e.columns, column)
}

// putPtrOr is putPtr with a value for null.
func putPtrOr[T any](e *edits, column string, dst **T, f field[T], null T) {
	if !f.set {
		return
	}
	v := f.or(null)
	*dst = &v
	e.columns = append(e.columns, column)
}

// putList stores a list in a column that joins it with commas; null stores def.
func putList(e *edits, column string, dst **string, f field[[]string], def []string) {
	if !f.set {
		return
	}
	*dst = joined(f.or(def))
	e.columns = append(e.columns, column)
}
