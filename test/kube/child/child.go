// Package child starts the programs that run beside a test, so that none of them outlives it.
package child

import (
	"os/exec"
	"runtime"
)

// Start starts a command in a process group of its own: all of its processes can be signalled
// together, and an interrupt from the keyboard reaches the test alone, which decides. The channel is
// closed when the command has ended; how it ended is in cmd.ProcessState then.
//
// On Linux the kernel kills the command when this program ends, whatever ends it: a test that
// is killed, or that panics after a time-out, cleans nothing up. The kernel goes by the end of the
// thread that started the command (prctl(2), PR_SET_PDEATHSIG), and Go ends threads as it likes. So a
// goroutine starts the command, and keeps its thread to itself until the command has ended.
func Start(cmd *exec.Cmd) (<-chan struct{}, error) {
	cmd.SysProcAttr = attributes()
	started, done := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		close(done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return done, nil
}
