//go:build unix && !linux

package readers

import "syscall"

// endWithParent does nothing: only Linux can do that. A killed parent leaves its readers running.
func endWithParent(*syscall.SysProcAttr) {}
