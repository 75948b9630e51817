package httpapi

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"recstream/schemas"
)

func TestPreferred(t *testing.T) {
	tests := map[string]struct {
		headers []string
		wait    time.Duration
		applied string
	}{
		"none":                   {nil, 5 * time.Second, ""},
		"wait":                   {[]string{"wait=10"}, 10 * time.Second, "wait=10"},
		"too long":               {[]string{"wait=31"}, 30 * time.Second, "wait=30"},
		"zero":                   {[]string{"wait=0"}, 0, "wait=0"},
		"name's case, spaces":    {[]string{" Wait = 10 "}, 10 * time.Second, "wait=10"},
		"quoted":                 {[]string{`wait="10"`}, 10 * time.Second, "wait=10"},
		"with a parameter":       {[]string{`wait=10; foo="a,b"`}, 10 * time.Second, "wait=10"},
		"among others":           {[]string{`foo="wait=1,wait=2";bar, respond-async, wait=10`}, 10 * time.Second, "wait=10"},
		"escaped quote":          {[]string{`foo="a\", wait=1", wait=10`}, 10 * time.Second, "wait=10"},
		"in a second line":       {[]string{"handling=lenient", "wait=10"}, 10 * time.Second, "wait=10"},
		"first counts":           {[]string{"wait=10, wait=20"}, 10 * time.Second, "wait=10"},
		"async":                  {[]string{"respond-async"}, 0, "respond-async"},
		"async after":            {[]string{"wait=10", "respond-async"}, 10 * time.Second, "wait=10"},
		"negative":               {[]string{"wait=-1"}, 5 * time.Second, ""},
		"a fraction":             {[]string{"wait=1.5"}, 5 * time.Second, ""},
		"no number":              {[]string{"wait=soon"}, 5 * time.Second, ""},
		"no value":               {[]string{"wait"}, 5 * time.Second, ""},
		"too large a number":     {[]string{"wait=99999999999999999999"}, 5 * time.Second, ""},
		"nothing in it":          {[]string{" , ;, ="}, 5 * time.Second, ""},
		"open quote":             {[]string{`foo="wait=1, wait=10`}, 5 * time.Second, ""},
		"wrong one before async": {[]string{"wait=x, respond-async"}, 0, "respond-async"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"Prefer": test.headers}
			if got := preferred(h, 5*time.Second, 30*time.Second); got.wait != test.wait || got.applied != test.applied {
				t.Errorf("%+v, want %s %q", got, test.wait, test.applied)
			}
		})
	}
}

func FuzzPreferred(f *testing.F) {
	f.Add(`foo="a\", wait=1", wait=10; x=y`)
	f.Fuzz(func(t *testing.T, line string) {
		p := preferred(http.Header{"Prefer": {line}}, 5*time.Second, 30*time.Second)
		if p.wait < 0 || p.wait > 30*time.Second || p.applied == "" && p.wait != 5*time.Second {
			t.Errorf("%q: %+v", line, p)
		}
	})
}

func TestRequestIDOfAResult(t *testing.T) {
	tests := map[string]struct {
		value string
		id    string
		ok    bool
	}{
		"as it is written":    {string(schemas.AppendResult(nil, decision("r1"))), "r1", true},
		"rejected":            {string(rejectionOf("r1")), "r1", true},
		"escaped":             {string(schemas.AppendResult(nil, decision("a\"b"))), "a\"b", true},
		"escaped backslash":   {`{"request_id":"a\\","user_id":"x"}`, `a\`, true},
		"beyond ASCII":        {string(schemas.AppendResult(nil, decision("ü"))), "ü", true},
		"by somebody else":    {`{ "status":"ok", "request_id" : "r1" }`, "r1", true},
		"none":                {`{"status":"ok"}`, "", false},
		"no JSON":             {`hello`, "", false},
		"empty":               {``, "", false},
		"cut off within":      {`{"request_id":"r`, "", false},
		"of another type":     {`{"request_id":7}`, "", false},
		"beginning like ours": {`{"request_id":"`, "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if id, ok := requestID([]byte(test.value)); string(id) != test.id || ok != test.ok {
				t.Errorf("%q %v, want %q %v", id, ok, test.id, test.ok)
			}
		})
	}
}

// TestPassingResultsCostNothing wants nothing to be allocated for results that nobody waits for.
func TestPassingResultsCostNothing(t *testing.T) {
	w := newWaiting()
	c, _ := w.join("r1", time.Now())
	w.begun(c, nil)
	value := schemas.AppendResult(nil, decision("another"))
	if n := testing.AllocsPerRun(100, func() { w.take(value) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	w.leave(c)
	if w.any() {
		t.Error("somebody still waits")
	}
}

func TestWaitingIsLeftEmpty(t *testing.T) {
	w := newWaiting()
	now := time.Now()
	a, first := w.join("r1", now)
	again, second := w.join("r1", now)
	if !first || second || a != again {
		t.Fatal("two calls for one id")
	}
	if got := w.before(now.Add(1)); len(got) != 1 || len(w.before(now)) != 0 {
		t.Errorf("since before: %v", got)
	}
	w.take(schemas.AppendResult(nil, decision("r1")))
	w.take(schemas.AppendResult(nil, decision("r1"))) // a copy
	<-a.done
	w.begun(a, problem(CodeBrokerUnavailable, "it is answered already"))
	if a.problem != nil || len(a.value) == 0 {
		t.Error("a call ended twice")
	}
	late, first := w.join("r1", now) // before the others have left
	if !first || late == a {
		t.Fatal("a call that is done was joined")
	}
	w.leave(a)
	w.leave(again)
	if !w.any() || !bytes.Contains(a.value, []byte("r1")) {
		t.Error("leaving one call ended the other")
	}
	w.end(a, nil, problem(CodeBrokerUnavailable, "of the call before"))
	if isClosed(late.done) || isClosed(late.published) {
		t.Error("the end of one call ended the other")
	}
	w.begun(late, problem(CodeBrokerUnavailable, "x"))
	w.leave(late)
	w.settle("r1", nil)
	if w.any() || len(w.calls) != 0 || late.problem == nil {
		t.Error("calls are left")
	}
}
