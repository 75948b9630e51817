package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"recstream/schemas"
)

// result is what one command line left behind.
type result struct {
	status         int
	stdout, stderr string
}

// recstream runs a command line as main would, with nothing of the test's own environment.
func recstream(t *testing.T, environ []string, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var stdout, stderr bytes.Buffer
	status := run(ctx, args, environ, strings.NewReader(stdin), &stdout, &stderr)
	return result{status, stdout.String(), stderr.String()}
}

func TestRun(t *testing.T) {
	tests := map[string]struct {
		args           string
		environ        []string
		status         int
		stdout, stderr string // parts
	}{
		"no command":         {args: "", stdout: "Usage:"},
		"help":               {args: "--help", stdout: "Exit status:"},
		"help of a command":  {args: "help publish", stdout: "--generate N"},
		"version flag":       {args: "--version", stdout: "recstream dev"},
		"version":            {args: "version", stdout: "recstream dev"},
		"completion":         {args: "completion bash", stdout: "recstream"},
		"complete a mood":    {args: "__complete publish --mood ", stdout: "funny\naction\ndramatic\nrelaxing\n"},
		"complete a schema":  {args: "__complete schema re", stdout: "request\nresult\n"},
		"unknown command":    {args: "publsh", status: 2, stderr: `recstream: unknown command "publsh" for "recstream"; did you mean publish?` + "\nhint: run 'recstream --help'"},
		"unknown flag":       {args: "publish --moood funny", status: 2, stderr: "recstream: unknown flag: --moood\nhint: run 'recstream publish --help'"},
		"unknown log level":  {args: "--log-level loud version", status: 2, stderr: "must be one of debug, info, warn, error"},
		"unknown format":     {args: "version -o xml", status: 2, stderr: "must be one of text, json"},
		"too many arguments": {args: "version now", status: 2, stderr: `recstream: unknown command "now" for "recstream version"`},
		"unknown schema":     {args: "schema none", status: 2, stderr: `recstream: no document "none"; there are asyncapi, `},
		"nothing to publish": {args: "publish", status: 2, stderr: "recstream: nothing to publish; name a file"},
		"two sources":        {args: "publish --generate 3 --user ada", status: 2, stderr: "--generate and the flags of one request exclude each other"},
		"unknown mood":       {args: "publish --mood sad", status: 2, stderr: "must be one of funny, action, dramatic, relaxing"},
		"limit too high":     {args: "publish --limit 101", status: 2, stderr: "recstream: limit: "},
		"limit 0":            {args: "publish --limit 0", status: 2, stderr: "recstream: limit: must be at least 1"},
		"negative rate":      {args: "publish --generate 1 --rate -1", status: 2, stderr: "--rate -1 is no rate"},
		"no timeout":         {args: "publish --generate 1 --timeout 0s", status: 2, stderr: "--timeout 0s is no time"},
		"generate none":      {args: "publish --generate 0", status: 2, stderr: "must be at least 1"},
		"no broker": {
			args: "publish --user ada", environ: []string{"RECSTREAM_KAFKA_BROKERS=127.0.0.1:1"},
			status: 1, stderr: "hint: is Kafka running at 127.0.0.1:1?",
		},
		"unknown variable": {
			args: "config", environ: []string{"RECSTREAM_KAFKA_BROKER=x:1"},
			status: 2, stderr: "did you mean RECSTREAM_KAFKA_BROKERS?\nhint: run 'recstream config fields'",
		},
		"bad variable": {
			args: "config", environ: []string{"RECSTREAM_KAFKA_PARTITIONS=0"},
			status: 2, stderr: "recstream: configuration: kafka.partitions: 0 is not from 1 to 10000\n",
		},
		"no such file":         {args: "config --config /nowhere/x.yaml", status: 2, stderr: "open /nowhere/x.yaml"},
		"file of the variable": {args: "config", environ: []string{"RECSTREAM_CONFIG=/nowhere/y.yaml"}, status: 2, stderr: "open /nowhere/y.yaml"},
		"log level of the flag": {
			args: "config --log-level debug", environ: []string{"RECSTREAM_LOG_LEVEL=warn"},
			stdout: "log:\n  level: debug\n",
		},
		"settings": {args: "config fields", stdout: "RECSTREAM_KAFKA_TLS_CA_FILE"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			args := strings.Split(tt.args, " ")
			if tt.args == "" {
				args = nil
			}
			got := recstream(t, tt.environ, "", args...)
			if got.status != tt.status {
				t.Errorf("status %d, want %d", got.status, tt.status)
			}
			if !strings.Contains(got.stdout, tt.stdout) || !strings.Contains(got.stderr, tt.stderr) {
				t.Errorf("stdout:\n%s\nstderr:\n%s\nwant %q and %q", got.stdout, got.stderr, tt.stdout, tt.stderr)
			}
			if tt.status != 0 && (got.stdout != "" || strings.Count(got.stderr, "recstream: ") != 1) {
				t.Errorf("the error is not said once, on standard error:\n%s\n%s", got.stdout, got.stderr)
			}
		})
	}
}

// TestConfigFile names a mistake by its field, key and line.
func TestConfigFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recstream.yaml")
	text := "kafka:\n  group: mine\n  sasl: {mechanism: plain, username: ada, password: hunter2}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := recstream(t, nil, "", "config", "--config", path)
	if got.status != 0 || !strings.Contains(got.stdout, "group: mine") || !strings.Contains(got.stdout, "[hidden]") {
		t.Errorf("status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
	if strings.Contains(got.stdout, "hunter2") {
		t.Error("the password is printed")
	}
	if err := os.WriteFile(path, []byte(text+"  brokrs: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got = recstream(t, nil, "", "config", "--config", path)
	want := "recstream: configuration: kafka.brokrs: no such setting; did you mean brokers? (" + path + ":4)\n"
	if got.status != 2 || !strings.HasPrefix(got.stderr, want) {
		t.Errorf("status %d, %s\nwant 2, %s", got.status, got.stderr, want)
	}
}

func TestSchema(t *testing.T) {
	var names []string
	got := recstream(t, nil, "", "schema", "-o", "json")
	if err := json.Unmarshal([]byte(got.stdout), &names); err != nil || len(names) != len(schemas.Documents()) {
		t.Fatalf("list %q: %v", got.stdout, err)
	}
	if got := recstream(t, nil, "", "schema"); got.stdout != strings.Join(names, "\n")+"\n" {
		t.Errorf("list as text: %q", got.stdout)
	}
	for _, name := range names {
		got := recstream(t, nil, "", "schema", name, "-o", "json")
		if got.status != 0 || !json.Valid([]byte(got.stdout)) {
			t.Errorf("%s: status %d, no JSON: %.80s%s", name, got.status, got.stdout, got.stderr)
		}
		if !strings.Contains(got.stdout, "asyncapi") && !strings.Contains(got.stdout, "$schema") {
			t.Errorf("%s: neither a schema nor AsyncAPI", name)
		}
	}
}

func TestVersionJSON(t *testing.T) {
	var b build
	got := recstream(t, nil, "", "version", "-o", "json")
	if err := json.Unmarshal([]byte(got.stdout), &b); err != nil {
		t.Fatal(err)
	}
	if b.Version != version || !strings.HasPrefix(b.Go, "go1.") || !strings.Contains(b.Platform, "/") {
		t.Errorf("%+v", b)
	}
	b.Revision, b.Modified = "0123456789abcdef", true
	if want := "recstream dev (0123456789ab, modified) go1."; !strings.HasPrefix(b.String(), want) {
		t.Errorf("got %s, want %s…", b, want)
	}
}

// TestEveryCommandIsDocumented holds for the commands that are yet to come, too.
func TestEveryCommandIsDocumented(t *testing.T) {
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%s: a short description and an example are needed", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRootCommand(&app{}))
}

// TestMain lets the test binary be the process that TestSignals sends signals to.
func TestMain(m *testing.M) {
	if os.Getenv("RECSTREAM_TEST_SIGNALS") == "" {
		os.Exit(m.Run())
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopBySignal(cancel)
	fmt.Println("started")
	<-ctx.Done()
	fmt.Println("draining")
	select {} // a drain that does not end
}

func TestSignals(t *testing.T) {
	tests := map[string]struct {
		second syscall.Signal
		status int
	}{
		"interrupted": {syscall.SIGINT, 130},
		"terminated":  {syscall.SIGTERM, 143},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), "RECSTREAM_TEST_SIGNALS=1")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stdout)
			for _, step := range []struct {
				line   string
				signal syscall.Signal
			}{{"started", syscall.SIGTERM}, {"draining", tt.second}} {
				if !lines.Scan() || lines.Text() != step.line {
					t.Fatalf("got %q, want %q", lines.Text(), step.line)
				}
				if err := cmd.Process.Signal(step.signal); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != tt.status {
				t.Errorf("status %d (%v), want %d", cmd.ProcessState.ExitCode(), err, tt.status)
			}
		})
	}
}
