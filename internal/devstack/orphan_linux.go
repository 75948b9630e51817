package devstack

import "syscall"

// endWithParent has the kernel send the signal to the process when its parent dies.
func endWithParent(attr *syscall.SysProcAttr, signal syscall.Signal) { attr.Pdeathsig = signal }
