package tlsa

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrSyntax is wrapped by every error of ParseParameters and ParseRecord.
var ErrSyntax = errors.New("not a TLSA record")

// ParseParameters reads "USAGE SELECTOR MATCHING-TYPE", such as "3 1 1".
func ParseParameters(text string) (Parameters, error) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return Parameters{}, fmt.Errorf("%w: %q has not three numbers", ErrSyntax, text)
	}
	return parseParameters(fields)
}

func parseParameters(fields []string) (Parameters, error) {
	var n [3]uint8
	for i := range n {
		v, err := strconv.ParseUint(fields[i], 10, 8)
		if err != nil {
			return Parameters{}, fmt.Errorf("%w: %q is no number from 0 to 255", ErrSyntax, fields[i])
		}
		n[i] = uint8(v)
	}
	return Parameters{Usage: n[0], Selector: n[1], MatchingType: n[2]}, nil
}

// ParseRecord reads RDATA in presentation form. The data may be in several words and in any case.
func ParseRecord(text string) (Record, error) {
	fields := strings.Fields(text)
	if len(fields) < 4 {
		return Record{}, fmt.Errorf("%w: %q has not three numbers and data", ErrSyntax, text)
	}
	p, err := parseParameters(fields[:3])
	if err != nil {
		return Record{}, err
	}
	data := strings.ToLower(strings.Join(fields[3:], ""))
	if !isHex(data) {
		return Record{}, fmt.Errorf("%w: the data is not hexadecimal", ErrSyntax)
	}
	return Record{Parameters: p, Data: data}, nil
}

// isHex says whether a text in lower case is octets in hexadecimal.
func isHex(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(text)%2 == 0
}

// longestParameters is the length of three numbers of an octet each, in presentation form with a space behind each.
const longestParameters = 3 * 4

// String is the parameters in presentation form.
func (p Parameters) String() string { return string(p.appendTo(make([]byte, 0, longestParameters))) }

func (p Parameters) appendTo(text []byte) []byte {
	text = strconv.AppendUint(text, uint64(p.Usage), 10)
	text = strconv.AppendUint(append(text, ' '), uint64(p.Selector), 10)
	return strconv.AppendUint(append(text, ' '), uint64(p.MatchingType), 10)
}

// String is the RDATA in presentation form. A status has dozens of them, and is made anew at each look.
func (r Record) String() string {
	text := r.appendTo(make([]byte, 0, longestParameters+len(r.Data)))
	return string(append(append(text, ' '), r.Data...))
}

// Short is the RDATA with its data cut short, for messages.
func (r Record) Short() string {
	const limit = 16
	if len(r.Data) <= limit {
		return r.String()
	}
	return r.Parameters.String() + " " + r.Data[:limit] + "..."
}
