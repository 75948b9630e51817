package readers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"recstream/internal/devstack"
)

// Language is that of a reader.
type Language string

// The languages that docs/clients has a reader for.
const (
	Python Language = "Python" // confluent-kafka, on librdkafka
	Java   Language = "Java"   // kafka-clients, Kafka's own
)

// ErrNoPython says that there is no Python with the client's library.
var ErrNoPython = errors.New("no Python with confluent-kafka: run scripts/python.sh install")

// command returns the words that run the language's reader, without its arguments. The error is ErrNoPython, or
// devstack.ErrNoKafka where there is no Java or no library for it.
func (l Language) command(ctx context.Context) ([]string, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	scripts, clients := filepath.Join(root, "scripts"), filepath.Join(root, "docs", "clients")
	var words []string
	switch l {
	case Python:
		python, err := find(ctx, filepath.Join(scripts, "python.sh"), ErrNoPython)
		if err != nil {
			return nil, err
		}
		words = []string{python, filepath.Join(clients, "read_results.py")}
	case Java:
		jars, err := find(ctx, filepath.Join(scripts, "kafka.sh"), devstack.ErrNoKafka)
		if err != nil {
			return nil, err
		}
		words = append(java(), "-cp", classPath(jars), filepath.Join(clients, "ReadResults.java"))
	default:
		return nil, fmt.Errorf("there is no reader in %s", l)
	}
	// The look also tells go test that its result depends on this file.
	_, err = os.Stat(words[len(words)-1])
	return words, err
}

// java returns the words that run Java, tuned to be up at once and to leave memory to others.
func java() []string {
	name := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		name = filepath.Join(home, "bin", "java")
	}
	return []string{name, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"}
}

// classPath picks what a client needs among the broker's jars. The broker's logging is left out: it would write to
// standard output.
func classPath(dir string) string {
	var jars []string
	for _, name := range []string{"kafka-clients", "jackson", "slf4j-api", "lz4", "snappy", "zstd"} {
		found, _ := filepath.Glob(filepath.Join(dir, name+"-*.jar")) // the pattern is sound
		jars = append(jars, found...)
	}
	return strings.Join(jars, string(os.PathListSeparator))
}

// notInstalled is the status of the scripts where there is nothing to find.
const notInstalled = 3

// find returns the path that a script finds, or the error none where nothing is installed.
func find(ctx context.Context, script string, none error) (string, error) {
	out, err := exec.CommandContext(ctx, "bash", script, "find").Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == notInstalled {
		return "", none
	}
	if err != nil {
		return "", fmt.Errorf("%s find: %w", script, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// repository returns the nearest directory above that has a go.mod.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod found: run from within the repository")
		}
		dir = filepath.Dir(dir)
	}
}
