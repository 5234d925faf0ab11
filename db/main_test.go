package db_test

import (
	"testing"

	"github.com/ottavino/ottavino/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }
