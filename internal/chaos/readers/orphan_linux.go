package readers

import "syscall"

// endWithParent has the kernel kill the process when its parent dies.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
