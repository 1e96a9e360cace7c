package servers

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// stopped returns nil if every thread of every process of a group is stopped (state T of proc(5)). One that
// has ended (Z) does nothing either: its parent is stopped and cannot fetch it, as in the middle of a
// reload of NSD.
func stopped(group int) error {
	files, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*/stat")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a file of /proc
		if err != nil {
			continue // it ended meanwhile
		}
		// The name of the program, in brackets, may hold anything.
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if len(fields) > 2 && string(fields[2]) == strconv.Itoa(group) && !bytes.ContainsAny(fields[0], "TZ") {
			return fmt.Errorf("%s is in state %s", filepath.Dir(file), fields[0])
		}
	}
	return nil
}
