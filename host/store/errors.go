package store

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
)

// explain gives an error of the database its code and hint, and leaves every
// other error as it is.
func explain(drv driver.Driver, err error) error {
	var known *host.Error
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if e := drv.Explain(err); e != nil {
		return e
	}
	return err
}

// nowhere is the connector of the pool that Bun's builders are made on. It
// refuses to connect: only transactions of a namespace reach a database.
type nowhere struct{}

func (nowhere) Connect(context.Context) (sqldriver.Conn, error) {
	return nil, host.Errorf(host.CodeInternal, "a statement was sent outside of a transaction").
		WithHint("use the Querier of Read or Write")
}

func (n nowhere) Driver() sqldriver.Driver { return n }

func (n nowhere) Open(string) (sqldriver.Conn, error) { return n.Connect(context.Background()) }
