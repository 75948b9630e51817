// Package chaos runs recstream under faults and judges what came of it. It is nothing but tests: each scenario starts
// servers and instances of the program, publishes a workload, does one kind of harm as often as told, proves that the
// harm was done, waits until everything is committed, and has package history judge the whole run.
//
//	main_test.go      flags, and the table of what was run
//	servers_test.go   the program under test, and the servers that scenarios share
//	stage_test.go     what one scenario runs on: servers, proxies, a database, topics and groups of its own
//	instance_test.go  recstream as a child process: killed, stopped, frozen
//	run_test.go       a scenario under way: load, observers, readers, faults
//	judge_test.go     its end: everything committed, read, checked and reported
//
// The others are scenarios, one file a class of faults. Full counts take hours on a small machine: -faults.scale is
// the share of them that is run, and a run of the tests without it shows only that everything works. A run can be
// made again with -faults.seed, as far as the machine's own timing allows.
package chaos
