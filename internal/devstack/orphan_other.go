//go:build unix && !linux

package devstack

import "syscall"

// endWithParent does nothing: only Linux can do that. A killed parent leaves its servers running.
func endWithParent(*syscall.SysProcAttr, syscall.Signal) {}
