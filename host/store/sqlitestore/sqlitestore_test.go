package sqlitestore_test

import (
	"os"
	"testing"

	"github.com/callboard-dev/callboard/host/store/driver"
	"github.com/callboard-dev/callboard/host/store/drivertest"
	"github.com/callboard-dev/callboard/host/store/sqlitestore"
)

var harness = drivertest.Harness{
	Place: func(t testing.TB) string { return t.TempDir() },
	Driver: func(place string) (driver.Driver, error) {
		return sqlitestore.New(sqlitestore.Settings{Dir: place, Relaxed: true}), nil
	},
}

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

func TestConformance(t *testing.T) { harness.Run(t) }
