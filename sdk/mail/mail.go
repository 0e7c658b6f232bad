// Package mail sends messages through the operator's mail server: the host
// service mail/v1. Recipients must be of the domains that an admin granted; the
// sender, and a line that says which plugin wrote, are the host's.
package mail

import (
	"context"

	v1 "github.com/callboard-dev/callboard/schemas/service/mail/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// Message is one message. In Subject, Text and HTML each {{name}} stands for
// the member of Data of that name, escaped in HTML.
type Message = v1.Message

// Send hands a message to the mail server and returns its id. CodeRateLimited
// says after what time there is room again.
func Send(ctx context.Context, m Message) (id string, err error) {
	var out v1.Receipt
	err = sdk.Do(ctx, v1.Name, v1.MethodSend, m, &out)
	return out.ID, err
}
