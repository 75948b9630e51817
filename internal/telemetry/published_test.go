package telemetry

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	promql "github.com/prometheus/prometheus/promql/parser"

	"recstream/schemas"
)

// everything returns metrics in which each has at least one series.
func everything() *Metrics {
	m := New(Build{Version: "v1"}, Sources{
		Tiers:   func() []Tier { return []Tier{{schemas.TierModel, ref, "closed", .1}} },
		Models:  func() []Model { return []Model{{*ref, "masks", 1}} },
		Config:  func() Config { return Config{Version: "aaa"} },
		Catalog: func() Catalog { return Catalog{Version: 1, Items: 1, Checked: now} },
		Caches:  func() []Cache { return []Cache{{Name: "profiles"}} },
		Shadows: func() Shadows { return Shadows{} },
	})
	m.Feedback("feedback")
	m.HTTP("/healthz", "GET", 200, time.Millisecond)
	s := m.Requests("requests")
	s.Opened(0, 0)
	s.SetEnds(map[int]int64{0: 1})
	s.Finished(&newBatch(0).decided(byModel(.5)).report)
	return m
}

func TestMetricsAreWellNamed(t *testing.T) {
	families, err := everything().Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestDescriptionsAreWhatIsGathered compares names, types and labels both ways.
func TestDescriptionsAreWhatIsGathered(t *testing.T) {
	families, err := everything().Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var gathered, described []string
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "recstream_") {
			var labels []string
			for _, pair := range f.Metric[0].Label {
				labels = append(labels, pair.GetName())
			}
			gathered = append(gathered, fmt.Sprint(f.GetName(), strings.ToLower(f.GetType().String()), labels))
		}
	}
	for _, d := range Descriptions() {
		labels := slices.Sorted(slices.Values(d.Labels))
		described = append(described, fmt.Sprint(d.Name, d.Type, labels))
	}
	slices.Sort(described)
	if !slices.Equal(gathered, described) {
		t.Errorf("gathered  %s\ndescribed %s", gathered, described)
	}
}

// TestListsOfLabelValuesAreWhole compares them with the constants of package schemas.
func TestListsOfLabelValuesAreWhole(t *testing.T) {
	for kind, list := range map[string][]string{
		"Tier": texts(tiers), "Reason": texts(reasons), "ColdStart": texts(coldStarts), "Code": texts(codes), "GapReason": texts(gapReasons),
	} {
		declared := constants(t, kind)
		if len(declared) == 0 {
			t.Fatalf("found no constants for %s", kind)
		}
		for _, value := range declared {
			if !slices.Contains(list, value) {
				t.Errorf("%s %q is counted as other", kind, value)
			}
		}
		slices.Sort(list)
		if len(slices.Compact(list)) != len(list) {
			t.Errorf("a value of %s is there twice: %v", kind, list)
		}
	}
}

func texts[T ~string](list []T) (out []string) {
	for _, v := range list {
		out = append(out, string(v))
	}
	return out
}

// constants returns the values of the constants of a type of package schemas; of Code, which is no type, those whose
// names begin with it.
func constants(t *testing.T, kind string) (values []string) {
	t.Helper()
	files, err := filepath.Glob("../../schemas/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			typed, _ := spec.Type.(*ast.Ident)
			literal, isText := spec.Values[0].(*ast.BasicLit)
			if isText && literal.Kind == token.STRING && (typed != nil && typed.Name == kind ||
				typed == nil && kind == "Code" && strings.HasPrefix(spec.Names[0].Name, kind)) {
				value, _ := strconv.Unquote(literal.Value)
				values = append(values, value)
			}
			return true
		})
	}
	return values
}

// rule is an alert as Prometheus reads it.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readRules(t *testing.T) (rules []rule) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// TestAlertsAreOfMetricsThatExist parses each rule, and wants its metrics and labels to be there.
func TestAlertsAreOfMetricsThatExist(t *testing.T) {
	rules := readRules(t)
	if len(rules) < 10 {
		t.Fatalf("%d rules", len(rules))
	}
	for _, r := range rules {
		t.Run(r.Alert, func(t *testing.T) {
			expr, err := promql.NewParser(promql.Options{}).ParseExpr(r.Expr)
			if err != nil {
				t.Fatal(err)
			}
			selected := 0
			promql.Inspect(expr, func(node promql.Node, _ []promql.Node) error {
				if v, ok := node.(*promql.VectorSelector); ok {
					selected++
					checkSelector(t, v)
				}
				return nil
			})
			if selected == 0 || r.Annotations["summary"] == "" || r.Annotations["action"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%d metrics, summary %q, action %q, labels %v", selected, r.Annotations["summary"], r.Annotations["action"], r.Labels)
			}
		})
	}
}

// checkSelector compares a selector with the metric's description.
func checkSelector(t *testing.T, v *promql.VectorSelector) {
	t.Helper()
	i := slices.IndexFunc(metrics, func(m *metric) bool {
		return m.Name == v.Name || m.Type == "histogram" && strings.TrimSuffix(v.Name, "_bucket") == m.Name
	})
	if i < 0 {
		t.Fatalf("there is no metric %s", v.Name)
	}
	for _, matcher := range v.LabelMatchers {
		if matcher.Name != "__name__" && !slices.Contains(metrics[i].Labels, matcher.Name) {
			t.Errorf("%s has no label %s", v.Name, matcher.Name)
		}
	}
}

// TestDocumentHasEveryMetric keeps the table of docs/metrics.md equal to the descriptions.
func TestDocumentHasEveryMetric(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	if table := markdown(); !strings.Contains(string(text), table) {
		t.Errorf("docs/metrics.md lacks this table:\n%s", table)
	}
	known := regexp.MustCompile(`recstream_[a-z_]+`).FindAllString(string(text), -1)
	for _, name := range known {
		if !slices.ContainsFunc(metrics, func(m *metric) bool { return strings.HasPrefix(name, m.Name) }) {
			t.Errorf("docs/metrics.md speaks of %s, which is no metric", name)
		}
	}
}

func markdown() string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, d := range Descriptions() {
		labels := ""
		if len(d.Labels) > 0 {
			labels = "`" + strings.Join(d.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, labels, d.Help)
	}
	return b.String()
}
