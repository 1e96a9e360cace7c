package tlsa

import (
	"encoding/hex"
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
	if _, err := hex.DecodeString(data); err != nil {
		return Record{}, fmt.Errorf("%w: the data is not hexadecimal", ErrSyntax)
	}
	return Record{Parameters: p, Data: data}, nil
}

// String is the parameters in presentation form.
func (p Parameters) String() string {
	return fmt.Sprintf("%d %d %d", p.Usage, p.Selector, p.MatchingType)
}

// String is the RDATA in presentation form.
func (r Record) String() string { return r.Parameters.String() + " " + r.Data }

// Short is the RDATA with its data cut short, for messages.
func (r Record) Short() string {
	const limit = 16
	if len(r.Data) <= limit {
		return r.String()
	}
	return r.Parameters.String() + " " + r.Data[:limit] + "..."
}
