package probe

import "strings"

// sieveStartTLS is ManageSieve up to STARTTLS (RFC 5804 section 2.2). The greeting lists the capabilities
// already. They are asked for all the same: what a server says to a line that it did not expect would
// else be taken for its answer to STARTTLS.
func sieveStartTLS(t *talk, _ string) error {
	reply, err := readSieveReply(t)
	if err != nil {
		return err
	}
	if reply.status != "OK" {
		return said(Unreachable, "the server does not greet", reply.line)
	}
	if reply, err = sieveCommand(t, "CAPABILITY"); err != nil {
		return err
	}
	if reply.status != "OK" {
		return said(Unreachable, "the server refuses CAPABILITY", reply.line)
	}
	if !listed(reply.strings, "STARTTLS") {
		return &failure{NoTLS, "the server does not offer STARTTLS for ManageSieve: clients with DANE do not log in"}
	}
	if reply, err = sieveCommand(t, "STARTTLS"); err != nil {
		return err
	}
	if reply.status != "OK" {
		return said(NoTLS, "the server refuses STARTTLS", reply.line)
	}
	return t.nothingBehind("STARTTLS")
}

func sieveCommand(t *talk, command string) (sieveReply, error) {
	if err := t.say(command); err != nil {
		return sieveReply{}, err
	}
	return readSieveReply(t)
}

// sieveReply is a reply of a server.
type sieveReply struct {
	// status is OK, NO or BYE.
	status string
	// strings are the first one of each line before the status: in a list of capabilities, their names.
	strings []string
	// line is the one of the status.
	line string
}

// readSieveReply reads lines up to the one with a status (RFC 5804 section 1.2).
func readSieveReply(t *talk) (sieveReply, error) {
	var reply sieveReply
	for range maxLines {
		line, err := readSieveLine(t)
		if err != nil {
			return reply, err
		}
		if line.isString {
			reply.strings = append(reply.strings, line.first)
			continue
		}
		reply.status, reply.line = strings.ToUpper(line.first), line.shown
		switch reply.status {
		case "OK", "NO", "BYE":
			return reply, nil
		}
		return reply, noSieve(line.shown)
	}
	return reply, tooManyLines()
}

func noSieve(line string) error {
	return said(Unreachable, "the server does not speak ManageSieve", line)
}

// sieveText is a line with the literals that are in it.
type sieveText struct {
	// first is the first word, or the value of the first string.
	first    string
	isString bool
	// shown is all of it, with the literals in their places.
	shown string
}

// readSieveLine reads a line. Each literal in it is followed by the next part of it (RFC 5804 section 4).
func readSieveLine(t *talk) (sieveText, error) {
	part, err := t.line()
	if err != nil {
		return sieveText{}, err
	}
	first, isString, ok := sieveFirst(part)
	line := sieveText{first, isString, part}
	for range maxLines {
		if !ok || !quotesClose(part) {
			return line, noSieve(line.shown)
		}
		size, more := trailingLiteral(part)
		if !more {
			return line, nil
		}
		text, err := t.literal(size)
		if err != nil {
			return line, err
		}
		line.shown = line.shown[:strings.LastIndexByte(line.shown, '{')]
		if line.shown == "" {
			line.first = text
		}
		if part, err = t.line(); err != nil {
			return line, err
		}
		line.shown += text + part
	}
	return line, tooManyLines()
}

// sieveFirst is the first word of a line, or its first string. That of a literal comes behind the line.
func sieveFirst(line string) (first string, isString, ok bool) {
	switch {
	case strings.HasPrefix(line, `"`):
		first, ok = unquote(line[1:])
		return first, true, ok
	case strings.HasPrefix(line, "{"):
		_, ok = trailingLiteral(line)
		return "", true, ok
	}
	end := strings.IndexAny(line, " (")
	if end < 0 {
		end = len(line)
	}
	return line[:end], false, true
}

// unquote reads a quoted string up to its closing quote, in which a backslash takes the next octet as it is.
func unquote(text string) (string, bool) {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return out.String(), true
		case '\\':
			i++
		}
		if i < len(text) {
			out.WriteByte(text[i])
		}
	}
	return "", false
}

// quotesClose says whether every quoted string of a line ends in it: none may hold the end of a line.
func quotesClose(line string) bool {
	for {
		open := strings.IndexByte(line, '"')
		if open < 0 {
			return true
		}
		line = line[open+1:]
		for line != "" && line[0] != '"' {
			if line[0] == '\\' {
				line = line[1:]
			}
			line = line[min(1, len(line)):]
		}
		if line == "" {
			return false
		}
		line = line[1:]
	}
}

// sieveLeave hears the list of capabilities again, which a server sends of its own accord, and takes
// its leave.
func sieveLeave(t *talk, _ string) {
	if _, err := readSieveReply(t); err == nil {
		_, _ = sieveCommand(t, "LOGOUT")
	}
}
