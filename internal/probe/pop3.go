package probe

import "strings"

// pop3StartTLS is POP3 up to STLS (RFC 2595 section 4), which CAPA lists (RFC 2449 section 5).
func pop3StartTLS(t *talk, _ string) error {
	line, err := pop3Reply(t)
	if err != nil {
		return err
	}
	if !pop3OK(line) {
		return said(Unreachable, "the server does not greet", line)
	}
	capabilities, err := pop3Capabilities(t)
	if err != nil {
		return err
	}
	if !listed(capabilities, "STLS") {
		return &failure{NoTLS, "the server does not offer STLS: POP3 clients with DANE do not log in"}
	}
	line, err = pop3Command(t, "STLS")
	if err != nil {
		return err
	}
	if !pop3OK(line) {
		return said(NoTLS, "the server refuses STLS", line)
	}
	return t.nothingBehind("STLS")
}

// pop3Reply reads the first line of a reply (RFC 1939 section 3), which is in capital letters.
func pop3Reply(t *talk) (string, error) {
	line, err := t.line()
	if err != nil {
		return "", err
	}
	if status, _ := cutWord(line); status != "+OK" && status != "-ERR" {
		return "", said(Unreachable, "the server does not speak POP3", line)
	}
	return line, nil
}

func pop3OK(line string) bool { return strings.HasPrefix(line, "+") }

func pop3Command(t *talk, command string) (string, error) {
	if err := t.say(command); err != nil {
		return "", err
	}
	return pop3Reply(t)
}

// pop3Capabilities asks for the list of capabilities, a line each up to one of a dot alone, and returns
// the keyword of each.
func pop3Capabilities(t *talk) ([]string, error) {
	first, err := pop3Command(t, "CAPA")
	if err != nil {
		return nil, err
	}
	if !pop3OK(first) {
		return nil, said(Unreachable, "the server refuses CAPA", first)
	}
	var keywords []string
	for range maxLines {
		line, err := t.line()
		if err != nil {
			return nil, err
		}
		if line == "." {
			return keywords, nil
		}
		keyword, _ := cutWord(line)
		keywords = append(keywords, keyword)
	}
	return nil, tooManyLines()
}

func pop3Leave(t *talk, _ string) { _, _ = pop3Command(t, "QUIT") }

func pop3sLeave(t *talk, _ string) {
	if _, err := pop3Reply(t); err == nil {
		pop3Leave(t, "")
	}
}
