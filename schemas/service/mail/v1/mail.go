// Package mail is the host service mail/v1: messages through the operator's
// mail server, to the domains that an admin granted. The host sets the sender,
// and says in each message which plugin sent it.
package mail

const (
	// Name is the service's name in manifests and calls.
	Name = "mail/v1"
	// MethodSend takes a Message and returns a Receipt.
	MethodSend = "send"
)

// Bounds of one message.
const (
	MaxRecipients = 50
	MaxSubject    = 200
	MaxText       = 128 << 10
	MaxHTML       = 256 << 10
)

// Message is one message. In Subject, Text and HTML each {{name}} stands for
// the member of Data of that name; in HTML the value is escaped. Scripts,
// styles, forms and what else is no text are removed from HTML; images stay
// with an https address alone. The host puts both into its own frame.
type Message struct {
	To      []string `json:"to"`
	Cc      []string `json:"cc,omitempty"`
	ReplyTo string   `json:"replyTo,omitempty"`
	Subject string   `json:"subject"`
	Text    string   `json:"text"`
	HTML    string   `json:"html,omitempty"`
	// Data fills the placeholders.
	Data map[string]string `json:"data,omitempty"`
}

// Receipt says that the operator's mail server has taken the message.
type Receipt struct {
	ID string `json:"id"`
}
