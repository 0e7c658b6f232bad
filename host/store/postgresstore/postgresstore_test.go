package postgresstore_test

import (
	"os"
	"testing"

	"github.com/callboard-dev/callboard/host/store/driver"
	"github.com/callboard-dev/callboard/host/store/drivertest"
	"github.com/callboard-dev/callboard/host/store/postgresstore"
	"github.com/callboard-dev/callboard/host/store/postgrestest"
)

var harness = drivertest.Harness{
	Place: func(t testing.TB) string { return postgrestest.Database(t) },
	Driver: func(place string) (driver.Driver, error) {
		return postgresstore.New(postgresstore.Settings{URL: place})
	},
}

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

func TestConformance(t *testing.T) { harness.Run(t) }
