//go:build !linux

package child

import "syscall"

// Other kernels have no signal for the end of the parent.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
