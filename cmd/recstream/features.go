package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"recstream/internal/catalogfile"
	"recstream/schemas"
	"recstream/scoring/feature"
	"recstream/scoring/model"
	"recstream/scoring/profile"
)

// featuresFlags say what `recstream features` makes vectors of.
type featuresFlags struct {
	requests, items, feedback string
	halfLife                  time.Duration
	output                    string
	printDefault              bool
}

func newFeaturesCommand(app *app) *cobra.Command {
	var flags featuresFlags
	cmd := &cobra.Command{
		Use:     "features [FILE]",
		Short:   "Print what a model sees of requests and items",
		GroupID: groupAbout,
		Long: `features makes the features that FILE declares, exactly as serving does, for each request with each of its
candidates: those that it names, else all items. FILE is a bundle's directory, its manifest.yaml, or a YAML file
with nothing but features.

The requests are recommendation.request events, one a line. The items are a CSV or JSON Lines file as for
'recstream catalog import'. With --feedback, recommendation.feedback events, one a line, each user has the
profile that they make up to the time of the request; without, users are unknown. So training data can be made
of events that were kept, with the numbers that serving would have had.

In the table a missing value is NaN, in CSV an empty cell, in JSON null.

What can be declared; docs/features.md has what each of them means, and their parameters:

  request    mood, group_size, session_length (one_hot, category), hour, weekday, limit (number)
  item       id (hashed), genres (one_hot, count), franchise (one_hot, category, hashed),
             duration_min, year, popularity (number), added_at (recency)
  user       activity, typical_duration, genre_affinity (number), last_activity (recency)
  history    seen, dismissed (count)
  user_item  genre_affinity (number), seen, dismissed (flag, recency), impressions (count), duration_min (ratio)

--default prints the declaration that holds where a model has none, to start from: the seventeen features.`,
		Example: `  recstream features models/films/2 --requests requests.jsonl --items films.csv
  recstream features features.yaml --requests requests.jsonl --items films.csv --feedback feedback.jsonl -o csv
  recstream features --default > features.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case flags.printDefault && len(args) == 0:
				return app.printDefaultFeatures()
			case flags.printDefault:
				return usagef("--default takes no FILE")
			case len(args) == 0:
				return usagef("what declares the features is missing; name its FILE, or print the default declaration with --default")
			}
			return app.printFeatures(args[0], flags)
		},
	}
	cmd.Flags().StringVar(&flags.requests, "requests", "", "requests, JSON Lines `FILE`")
	cmd.Flags().StringVar(&flags.items, "items", "", "items, CSV or JSON Lines `FILE`")
	cmd.Flags().StringVar(&flags.feedback, "feedback", "", "feedback of the users, JSON Lines `FILE`")
	cmd.Flags().DurationVar(&flags.halfLife, "half-life", profile.DefaultHalfLife, "in which what users did counts half")
	cmd.Flags().BoolVar(&flags.printDefault, "default", false, "print the default declaration, as YAML, and nothing else")
	outputVar(cmd, &flags.output, "table", "csv", "json")
	return cmd
}

func (a *app) printFeatures(path string, flags featuresFlags) error {
	if flags.requests == "" || flags.items == "" {
		return usagef("what to make features of is missing; name --requests FILE and --items FILE")
	}
	if flags.halfLife <= 0 {
		return usagef("--half-life %v is no time; use such as 720h", flags.halfLife)
	}
	declaration, err := readDeclaration(path)
	if err != nil {
		return err
	}
	extractor, err := feature.New(declaration)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	items, err := readItems(flags.items)
	if err != nil {
		return err
	}
	requests, err := readLines(flags.requests, schemas.DecodeRequest)
	if err != nil {
		return err
	}
	m := vectorMaker{extractor: extractor, items: items, halfLife: flags.halfLife}
	if flags.feedback != "" {
		if err := errors.Join(timeless(flags.requests, requests), m.readFeedback(flags.feedback)); err != nil {
			return err
		}
	}
	table := m.vectors(requests)
	if len(table.Vectors) == 0 {
		return fmt.Errorf("no request of %s has a candidate in %s", flags.requests, flags.items)
	}
	if n := m.unknown; n > 0 {
		fmt.Fprintf(a.stderr, "%d of %d candidates left out: %s has no such item; the first is %s\n", n, n+len(table.Vectors), flags.items, m.firstUnknown)
	}
	switch flags.output {
	case "csv":
		return table.printCSV(a.stdout)
	case "json":
		return printJSON(a.stdout, table)
	default:
		return table.print(a.stdout)
	}
}

// printDefaultFeatures prints what can be edited into a declaration of one's own.
func (a *app) printDefaultFeatures() error {
	text, err := yaml.Marshal(feature.Default())
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(text)
	return err
}

// timeless refuses requests whose profile would be that of the end of all feedback.
func timeless(path string, requests []schemas.Request) error {
	for i := range requests {
		if requests[i].RequestedAt.IsZero() {
			return withHint(fmt.Errorf("%s: request %q has no time", path, requests[i].RequestID),
				"add requested_at to it: only feedback before that time may count")
		}
	}
	return nil
}

// readDeclaration reads a bundle's features, or a file of features alone.
func readDeclaration(path string) (d feature.Declaration, err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, model.ManifestFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return d, err
	}
	if filepath.Base(path) == model.ManifestFile {
		manifest, err := model.ParseManifest(text)
		if err != nil {
			return d, fmt.Errorf("%s: %w", filepath.Dir(path), err)
		}
		return feature.Declaration{Features: manifest.Features}, nil
	}
	if err := readYAML(text, &d); err != nil {
		return d, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// readItems reads a catalogue file that must have no mistake.
func readItems(path string) (map[string]*schemas.Item, error) {
	format, ok := catalogfile.FormatOf(path)
	if !ok {
		return nil, usagef("%s: the name does not tell the format; use .csv or .jsonl", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	list, problems, err := catalogfile.Read(file, format)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s: %w", path, problems[0])
	}
	items := make(map[string]*schemas.Item, len(list))
	for i := range list {
		items[list[i].ID] = &list[i]
	}
	return items, nil
}

// readLines decodes a file of events, one a line; empty lines are skipped.
func readLines[E any](path string, decode func([]byte, *E) error) (events []E, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, maxLine)
	for number := 1; scanner.Scan(); number++ {
		if len(scanner.Bytes()) == 0 {
			continue
		}
		var e E
		if err := decode(scanner.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s: %w", path, &invalidLine{number, err})
		}
		events = append(events, e)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return events, nil
}

// vectorMaker makes vectors as serving does.
type vectorMaker struct {
	extractor *feature.Extractor
	items     map[string]*schemas.Item
	feedback  map[string][]schemas.Feedback // by user, in the order of their times; nil where there is none
	halfLife  time.Duration

	unknown      int    // candidates that are no items
	firstUnknown string // and its request
}

func (m *vectorMaker) readFeedback(path string) error {
	events, err := readLines(path, schemas.DecodeFeedback)
	if err != nil {
		return err
	}
	m.feedback = make(map[string][]schemas.Feedback)
	for i := range events {
		e := &events[i]
		if e.At.IsZero() {
			return withHint(fmt.Errorf("%s: the feedback of request %q has no time", path, e.RequestID),
				"add at to it: here is no Kafka record to take it from")
		}
		if e.UserID != "" {
			m.feedback[e.UserID] = append(m.feedback[e.UserID], *e)
		}
	}
	for _, list := range m.feedback {
		slices.SortStableFunc(list, func(a, b schemas.Feedback) int { return a.At.Compare(b.At) })
	}
	return nil
}

// profileOf returns what was known of the user at the request's time, nil where that is nothing.
func (m *vectorMaker) profileOf(req *schemas.Request) *schemas.Profile {
	var p *schemas.Profile
	for i := range m.feedback[req.UserID] {
		e := &m.feedback[req.UserID][i]
		if e.At.After(req.RequestedAt) {
			break
		}
		if p == nil {
			p = &schemas.Profile{UserID: req.UserID}
		}
		profile.Apply(p, e, m.items[e.ItemID], m.halfLife)
	}
	if p == nil {
		return nil
	}
	var faded schemas.Profile
	profile.At(&faded, p, req.RequestedAt, m.halfLife)
	return &faded
}

// vectors makes those of all requests, the items of each in the order of their ids, or of its candidates.
func (m *vectorMaker) vectors(requests []schemas.Request) *featureTable {
	table := &featureTable{Features: m.extractor.Names()}
	var all []string
	for id := range m.items {
		all = append(all, id)
	}
	slices.Sort(all)
	var in feature.Inputs
	for i := range requests {
		req := &requests[i]
		m.extractor.Prepare(&in, req, m.profileOf(req))
		candidates := all
		if req.Candidates != nil {
			candidates = req.Candidates
		}
		for _, id := range candidates {
			it := m.items[id]
			if it == nil {
				m.leaveOut(req.RequestID, id)
				continue
			}
			values := make(vector, len(table.Features))
			m.extractor.Vector(values, &in, it)
			table.Vectors = append(table.Vectors, namedVector{req.RequestID, id, values})
		}
	}
	return table
}

func (m *vectorMaker) leaveOut(request, item string) {
	if m.unknown++; m.unknown == 1 {
		m.firstUnknown = fmt.Sprintf("%q of request %q", item, request)
	}
}
