package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/segmentio/kafka-go"

	"recstream/schemas"
)

// TestPythonClient runs the documented Python client, on librdkafka: its request is one by the published
// schema, and so is the result that it reads.
func TestPythonClient(t *testing.T) {
	python := findPython(t)
	s := newApacheStack(t)
	s.serve(t)
	cmd := exec.CommandContext(within(t), python, "../../docs/clients/recommend.py",
		"--brokers", s.brokers[0], "--requests", s.requests(), "--results", s.results(),
		"--user", "ada", "--mood", "funny", "--session", "short", "--timeout", "60")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("recommend.py: %v\n%s\n%s", err, out, &stderr)
	}
	conforms(t, s, "result", out)
	var answer schemas.Result
	mustDecode(t, out, &answer)
	if answer.UserID != "ada" || answer.Tier != schemas.TierModel || len(answer.Items) != 3 {
		t.Errorf("result %s", out)
	}
	published := 0
	for _, partition := range readTopic(t, s, s.requests(), func(m kafka.Message) []byte { return bytes.Clone(m.Value) }) {
		for _, value := range partition {
			published++
			conforms(t, s, "request", value)
		}
	}
	if published != 1 {
		t.Errorf("%d requests in the topic, want 1", published)
	}
}

// findPython returns the Python that scripts/python.sh has installed.
func findPython(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("bash", "../../scripts/python.sh", "find").Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && os.Getenv("CI") == "" {
		t.Skip("no Python with confluent-kafka: run scripts/python.sh install")
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// conforms checks a value against a schema as the program prints it.
func conforms(t *testing.T, s *stack, schema string, value []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(s.command(t, "schema", schema)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("published.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("published.json")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(value, &v); err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(v); err != nil {
		t.Errorf("%s does not conform to the schema of a %s: %v", value, schema, err)
	}
}
