package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/config"
	"recstream/internal/httpapi"
)

// statusTimeout is how long an instance may take to say how it is.
const statusTimeout = 10 * time.Second

// maxStatusBytes is how much of an answer is read.
const maxStatusBytes = 4 << 20

func newStatusCommand(app *app) *cobra.Command {
	var address, output string
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Print how a running instance is: tiers, breakers, models, lag",
		GroupID: groupAbout,
		Long: `status asks a running instance over HTTP how it is: whether it is ready, which tiers answer and why not,
the models in force, and how many events are still to come.

The instance is that of --url, else the one that listens on http.listen. The first of http.tokens is sent
along where there is one. The exit status is 1 when the instance is not ready.`,
		Example: `  recstream status
  recstream status --url http://recstream-2:8080 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := app.loadConfig()
			if err != nil {
				return err
			}
			return app.status(cmd.Context(), cfg.HTTP, address, output)
		},
	}
	cmd.Flags().StringVar(&address, "url", "", "base `URL` of the instance (default that of http.listen)")
	outputVar(cmd, &output, "table", "json")
	return cmd
}

func (a *app) status(ctx context.Context, settings config.HTTP, address, output string) error {
	base, err := instanceURL(settings, address)
	if err != nil {
		return err
	}
	st, err := askStatus(ctx, base, settings)
	if err != nil {
		return err
	}
	if output == "json" {
		err = printJSON(a.stdout, st)
	} else {
		err = printStatus(a.stdout, st)
	}
	if err == nil && !st.Ready {
		err = fmt.Errorf("the instance is not ready: %s", unready(st.Checks))
	}
	return err
}

// instanceURL is where the instance is: at the address that was given, else at that of http.listen.
func instanceURL(settings config.HTTP, address string) (*url.URL, error) {
	if address == "" {
		if !settings.Enabled() {
			return nil, usagef("which instance? Name it with --url, such as http://127.0.0.1:8080, or set http.listen")
		}
		host, port, err := net.SplitHostPort(settings.Listen)
		if err != nil {
			return nil, err // cannot be: the settings are valid
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		address = "http://" + net.JoinHostPort(host, port)
	}
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, usagef("--url %q is no URL of an instance; use such as http://127.0.0.1:8080", address)
	}
	return base, nil
}

// askStatus asks the instance.
func askStatus(ctx context.Context, base *url.URL, settings config.HTTP) (*httpapi.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("/v1/status").String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	if len(settings.Tokens) > 0 {
		req.Header.Set("Authorization", "Bearer "+settings.Tokens[0].Reveal())
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, withHint(err, "is 'recstream serve' running there, with http.listen set?")
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxStatusBytes))
	if err != nil {
		return nil, fmt.Errorf("read the status: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, refusedStatus(res, body)
	}
	st := new(httpapi.Status)
	if err := json.Unmarshal(body, st); err != nil {
		return nil, withHint(fmt.Errorf("read the status: %w", err), "is that URL one of recstream's?")
	}
	return st, nil
}

// refusedStatus makes an error of an answer that is no status.
func refusedStatus(res *http.Response, body []byte) error {
	var p httpapi.Problem
	if res.Header.Get("Content-Type") != httpapi.ContentTypeProblem || json.Unmarshal(body, &p) != nil {
		return withHint(fmt.Errorf("the answer of %s is %s", res.Request.URL, res.Status), "is that URL one of recstream's?")
	}
	err := fmt.Errorf("%s: %s", p.Code, p.Detail)
	if p.Code == httpapi.CodeUnauthorized {
		err = withHint(fmt.Errorf("%s: the instance wants a token", p.Code), "set http.tokens, such as by RECSTREAM_HTTP_TOKENS, to one that the instance has")
	}
	return err
}

// unready names the checks that failed.
func unready(checks []httpapi.Check) string {
	var list []string
	for _, c := range checks {
		if !c.OK {
			list = append(list, c.Name+" ("+c.Detail+")")
		}
	}
	return strings.Join(list, ", ")
}

// printStatus prints a status as tables, one below the other.
func printStatus(w io.Writer, st *httpapi.Status) error {
	ready := "ready"
	if !st.Ready {
		ready = "not ready: " + unready(st.Checks)
	}
	fmt.Fprintf(w, "instance %s, version %s, since %s, %s\n", st.Instance, st.Version, st.StartedAt.Format(time.RFC3339), ready)
	fmt.Fprintf(w, "catalogue %d with %s, configuration %s, delivery %s\n\n", st.CatalogVersion, counted(st.Items, "item"), st.ConfigVersion, st.Delivery)
	if err := printTable(w, []string{"TIER", "MODEL", "STATE", "SINCE", "REASON", "FAILURES", "PSI"}, tierRows(st.Tiers)); err != nil {
		return err
	}
	fmt.Fprintln(w)
	var models [][]string
	for _, m := range st.Models {
		remembered := "no"
		if m.Remembered {
			remembered = "yes"
		}
		models = append(models, []string{m.Name + "@" + m.Version, shortSum(m.SHA256), m.Method, fmt.Sprint(m.Bytes), remembered})
	}
	if err := printTable(w, []string{"MODEL", "SHA256", "METHOD", "BYTES", "REMEMBERED"}, models); err != nil {
		return err
	}
	fmt.Fprintln(w)
	var partitions [][]string
	for _, p := range st.Partitions {
		partitions = append(partitions, []string{p.Topic, fmt.Sprint(p.Partition), fmt.Sprint(p.Committed), fmt.Sprint(p.End), fmt.Sprint(p.Lag)})
	}
	return printTable(w, []string{"TOPIC", "PARTITION", "COMMITTED", "END", "LAG"}, partitions)
}

func tierRows(tiers []httpapi.Tier) (rows [][]string) {
	for _, t := range tiers {
		model, since, psi := "-", "-", "-"
		if t.Model != nil {
			model = t.Model.Name + "@" + t.Model.Version
		}
		if t.Since != nil {
			since = t.Since.Format(time.RFC3339)
		}
		if t.PSI != nil {
			psi = fmt.Sprintf("%.3f", *t.PSI)
		}
		reason := t.Reason
		if reason == "" {
			reason = "-"
		}
		if t.Variant != "" {
			model += " (" + t.Variant + ")"
		}
		rows = append(rows, []string{t.Tier, model, t.State, since, reason, fmt.Sprint(t.Failures), psi})
	}
	return rows
}

// shortSum is enough of a hash for people.
func shortSum(sum string) string { return sum[:min(len(sum), 12)] }
