package probe

import "strings"

// smtpReply reads one reply and returns its code and lines.
func smtpReply(t *talk) (string, []string, error) {
	var lines []string
	for len(lines) < maxLines {
		line, err := t.line()
		if err != nil {
			return "", nil, err
		}
		if !isReply(line) {
			return "", nil, said(Unreachable, "the server does not speak SMTP", line)
		}
		lines = append(lines, line)
		if len(line) == 3 || line[3] == ' ' {
			return line[:3], lines, nil
		}
	}
	return "", nil, tooManyLines()
}

// isReply says whether a line begins with a code. "SSH-2.0" is none, and no line comes after it.
func isReply(line string) bool {
	if len(line) < 3 || strings.Trim(line[:3], "0123456789") != "" {
		return false
	}
	return len(line) == 3 || line[3] == ' ' || line[3] == '-'
}

// smtpCommand sends a line and reads the reply.
func smtpCommand(t *talk, line string) (string, []string, error) {
	if err := t.say(line); err != nil {
		return "", nil, err
	}
	return smtpReply(t)
}

func smtpEHLO(t *talk, helo string) ([]string, error) {
	code, lines, err := smtpCommand(t, "EHLO "+helo)
	if err != nil {
		return nil, err
	}
	if code != "250" {
		return nil, said(Unreachable, "the server refuses EHLO", lines[0])
	}
	return lines, nil
}

// smtpStartTLS is SMTP up to STARTTLS (RFC 3207). No mail is begun.
func smtpStartTLS(t *talk, helo string) error {
	code, lines, err := smtpReply(t)
	if err != nil {
		return err
	}
	if code != "220" {
		return said(Unreachable, "the server does not greet", lines[0])
	}
	extensions, err := smtpEHLO(t, helo)
	if err != nil {
		return err
	}
	if !offersStartTLS(extensions) {
		return &failure{NoTLS, "the server does not offer STARTTLS: senders with DANE do not deliver"}
	}
	code, lines, err = smtpCommand(t, "STARTTLS")
	if err != nil {
		return err
	}
	if code != "220" {
		return said(NoTLS, "the server refuses STARTTLS", lines[0])
	}
	return t.nothingBehind("STARTTLS")
}

func offersStartTLS(lines []string) bool {
	for _, l := range lines {
		if len(l) > 4 && strings.EqualFold(strings.TrimSpace(l[4:]), "STARTTLS") {
			return true
		}
	}
	return false
}

// smtpLeave says EHLO again, as a sender does after STARTTLS, and takes its leave.
func smtpLeave(t *talk, helo string) {
	if _, err := smtpEHLO(t, helo); err == nil {
		_, _, _ = smtpCommand(t, "QUIT")
	}
}

// smtpsLeave hears the greeting and takes its leave.
func smtpsLeave(t *talk, _ string) {
	if _, _, err := smtpReply(t); err == nil {
		_, _, _ = smtpCommand(t, "QUIT")
	}
}
