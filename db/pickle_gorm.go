package db

// GormDataType tells gorm how the column is stored, which it cannot see from a nil map.
func (InsertHeaders) GormDataType() string { return "bytes" }
