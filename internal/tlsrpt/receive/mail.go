package receive

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

// MailOptions say how reports are taken by mail.
type MailOptions struct {
	// Domain is the name in the greeting.
	Domain string
	// LMTP makes it speak LMTP (RFC 2033), as mail servers do that hand mail on; otherwise SMTP.
	LMTP bool
	// Accepts says whether an address is one that reports are sent to.
	Accepts func(address string) bool
	// Lookup fetches DKIM keys.
	Lookup LookupTXT
	Limits Limits
}

const (
	// sayWithin is how long a client may take for a command, and for a message.
	sayWithin = 2 * time.Minute
	// proveWithin is how long keys are looked up.
	proveWithin = 20 * time.Second
)

// NewMailServer makes a server that takes reports by mail. It never answers what would make a mail server send a
// bounce: who stands in a forged message has not asked for one.
func NewMailServer(intake *Intake, o MailOptions) *smtp.Server {
	m := &mailbox{intake: intake, options: o, quota: newQuota(o.Limits, intake.Clock)}
	s := smtp.NewServer(smtp.BackendFunc(m.session))
	s.Domain, s.LMTP = o.Domain, o.LMTP
	s.MaxMessageBytes, s.MaxRecipients = maxMessage, 10
	s.ReadTimeout, s.WriteTimeout = sayWithin, sayWithin
	s.ErrorLog = quiet{}
	return s
}

// quiet logs nothing: what a client does wrong is answered, and what comes is counted.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

type mailbox struct {
	intake  *Intake
	options MailOptions
	quota   *quota
}

func (m *mailbox) session(c *smtp.Conn) (smtp.Session, error) {
	from := netip.IPv6Unspecified()
	// A client by a unix socket has no address: it is this machine's mail server.
	if at, ok := c.Conn().RemoteAddr().(*net.TCPAddr); ok {
		from = at.AddrPort().Addr().Unmap()
	}
	return &session{mailbox: m, from: from}, nil
}

// session is one connection.
type session struct {
	*mailbox
	from netip.Addr
}

func (s *session) Reset()                               {}
func (s *session) Logout() error                        { return nil }
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if !s.options.Accepts(to) {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no TLS reports are taken for this address"}
	}
	return nil
}

var errLater = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "the report cannot be kept now"}

// Data takes a message. Every message that is no report to be believed is taken all the same, counted, and dropped.
func (s *session) Data(r io.Reader) error {
	if !s.quota.allow(s.from) {
		s.observe(Limited, s.origin(), nil)
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 0}, Message: "too many reports: come again later"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), proveWithin)
	defer cancel()
	free, err := s.intake.room(ctx, maxMessage)
	if err != nil {
		s.observe(Limited, s.origin(), err)
		return errLater
	}
	defer free()
	message, err := io.ReadAll(r)
	if errors.Is(err, smtp.ErrDataTooLarge) {
		s.observe(TooLarge, s.origin(), nil)
	}
	if err != nil {
		return err
	}
	if outcome := s.take(message); outcome == Failed || outcome == Limited {
		return errLater
	}
	return nil
}

// take finds out who vouches for a message, then takes the report in it.
func (s *session) take(message []byte) Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), proveWithin)
	defer cancel()
	origin := s.origin()
	var err error
	if origin.Proof, err = proof(ctx, message, s.options.Lookup); errors.Is(err, errKeys) {
		return s.observe(Failed, origin, err)
	} else if err != nil {
		return s.observe(Unproved, origin, err)
	}
	packed, err := attachment(message)
	if err != nil {
		return s.observe(Malformed, origin, err)
	}
	outcome, _ := s.intake.take(ctx, Mail, packed, origin)
	return outcome
}

func (s *session) origin() store.Origin {
	return store.Origin{At: s.intake.Clock.Now(), Source: s.from.String()}
}

func (s *session) observe(outcome Outcome, origin store.Origin, err error) Outcome {
	s.intake.observe(Event{Mail, outcome, store.Item{Origin: origin}, err})
	return outcome
}
