package deadletter

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/postgres"
	"recstream/internal/wait"
	"recstream/producer"
	"recstream/schemas"
)

// Redriver sends letters back to the topics that their events came from. Fields that are not optional are needed.
type Redriver struct {
	Topic    Topic
	Database *postgres.Database
	Name     string // transactional id: one for all who redrive this topic
	Requests string // the topics that events may go back to
	Feedback string

	Filter      Filter
	Mended      *Mended // optional: these letters alone, with the keys and values that they have there
	Again       bool    // letters that earlier runs sent are sent once more
	Force       bool    // what would be refused again as it is, is sent all the same
	DryRun      bool
	Max         int     // letters that are sent at the most; 0 is no limit
	MaxRedrives int     // an event that was sent back so often is left alone
	Rate        float64 // letters a second at the most; 0 is no limit
	Actor, Why  string
	Selection   string // all of the above that chooses, as text; see postgres.RedriveRun

	Progress func(*Report) // optional, told how far the run is: when it begins, and after each fetch and each transaction

	clock clock // that of the machine unless a test sets another
}

// clock tells the time and waits for it.
type clock struct {
	now   func() time.Time
	until func(context.Context, time.Time) error
}

// transactionTimeout bounds how long a redrive that was killed holds up the read_committed readers of its topics.
const transactionTimeout = 15 * time.Second

// Skip says why a letter that was chosen is not sent.
type Skip string

// Why letters are not sent.
const (
	SkipDone      Skip = "was sent back before; --again repeats it"
	SkipUnsettled Skip = "was on its way when a redrive was cut off; run without --dry-run to find out"
	SkipLoop      Skip = "came back too often; mend its cause, or raise --max-redrives"
	SkipBad       Skip = "would be refused again as it is; mend it, or use --force"
	SkipForeign   Skip = "came from no topic that is configured for requests or feedback"
	SkipNoLetter  Skip = "does not say where it came from"
	SkipOmitted   Skip = "has no value, and its topic has deleted it; --mended can give one"
	SkipTooLarge  Skip = "is larger than its topic takes"
	SkipUncertain Skip = "was on its way when the broker fell silent, and retention has deleted what would tell"
	SkipOther     Skip = "is another letter than that of the file"
	SkipGone      Skip = "is in the file, and not in the topic"
)

// Skipped counts letters that were not sent for one cause.
type Skipped struct {
	Letters int64
	Example schemas.Source // the first
}

// Report is what became of the letters that were chosen.
type Report struct {
	Run       postgres.RedriveRun // of a dry run nothing
	Read      int64               // offsets of the spans that were passed
	Settled   int                 // letters that an earlier run had on its way, of which it is known now whether they were sent
	Uncertain int                 // those of which it can never be known
	Chosen    int64
	Sent      int64 // or, in a dry run, would be
	Mended    int64 // of these
	Skipped   map[Skip]*Skipped
	Groups    Groups // of what was sent
}

func (r *Report) skip(why Skip, l *Letter) {
	if r.Skipped == nil {
		r.Skipped = map[Skip]*Skipped{}
	}
	if r.Skipped[why] == nil {
		r.Skipped[why] = &Skipped{Example: l.Place}
	}
	r.Skipped[why].Letters++
}

// outgoing is a letter that is to be sent.
type outgoing struct {
	letter *Letter
	row    postgres.Redrive
	record producer.Record
}

// rename gives the letter's next attempt an id of its own.
func (o *outgoing) rename() {
	o.row.ID = newID()
	o.record.Headers[len(o.record.Headers)-1].Value = []byte(o.row.ID)
}

// What one transaction holds at the most. A letter of more bytes goes alone.
const (
	maxTogether      = 100
	maxTogetherBytes = 512 << 10
)

// redriving is a run of a Redriver.
type redriving struct {
	*Redriver
	audit      *postgres.Redrives // nil in a dry run, like what follows
	producer   *producer.Producer
	courier    *producer.Courier
	partitions map[string][]int
	report     Report
	batch      []outgoing
	bytes      int
	pace       pace
	started    time.Time
	unmet      map[Place]time.Time // mended letters that were not met yet, with their times; zero is any
}

func (r *Redriver) begin() *redriving {
	d := &redriving{Redriver: r, partitions: map[string][]int{}, pace: pace{rate: r.Rate}}
	if d.clock.now == nil {
		d.clock = clock{time.Now, wait.Until}
	}
	d.started, d.unmet = d.clock.now(), r.Mended.times()
	d.producer = producer.New(producer.Config{Client: r.Topic.Client, Timeout: fetchTimeout, TransactionTimeout: transactionTimeout})
	return d
}

// Run sends the letters of the spans that are chosen. After an error, or when ctx ends, the same run can be made again:
// what was sent is not sent twice. The report says how far it came.
func (r *Redriver) Run(ctx context.Context, spans []Span) (*Report, error) {
	d := r.begin()
	if !r.DryRun {
		audit, err := r.Database.LockRedrives(ctx, r.Topic.Name)
		if err != nil {
			return &d.report, err
		}
		defer audit.Close()
		d.audit = audit
		if err := d.takeOver(ctx); err != nil {
			return &d.report, err
		}
	}
	return &d.report, d.run(ctx, spans)
}

// takeOver finds out what became of the letters of a run before, and notes this one.
func (d *redriving) takeOver(ctx context.Context) error {
	settled, err := d.open(ctx)
	if err != nil {
		return err
	}
	for i := range settled {
		if settled[i].State == postgres.RedriveUnknown {
			d.report.Uncertain++
		} else {
			d.report.Settled++
		}
	}
	d.report.Run, err = d.audit.Begin(ctx, postgres.RedriveRun{Actor: d.Actor, Why: d.Why, Selection: d.Selection, Again: d.Again})
	return err
}

func (d *redriving) run(ctx context.Context, spans []Span) error {
	sent, err := d.sentBefore(ctx)
	if err != nil {
		return err
	}
	d.tell(0)
	before := int64(0)
	for _, s := range spans {
		visit := sent.Marked(ctx, func(l *Letter) error {
			if d.room() <= 0 {
				return ErrEnough
			}
			d.report.Read = before + l.Place.Offset - s.First
			delete(d.unmet, Place{l.Place.Partition, l.Place.Offset})
			return d.consider(ctx, l)
		})
		if err := d.Topic.Read(ctx, s, visit, d.tell); err != nil {
			return err
		}
		before += s.End - s.First
		d.report.Read = before
		if err := d.flush(ctx); err != nil { // before the next partition: the letters of one are looked up together
			return err
		}
	}
	if err := d.missUnmet(ctx); err != nil {
		return err
	}
	if d.audit == nil {
		return nil
	}
	return d.audit.Finish(ctx)
}

// missUnmet reports the mended letters that are not there, if nothing else chooses and all were looked for.
func (d *redriving) missUnmet(ctx context.Context) error {
	if d.room() <= 0 || !d.Filter.isEmpty() {
		return nil
	}
	for _, p := range slices.SortedFunc(maps.Keys(d.unmet), Place.compare) {
		drives, err := d.Database.RedrivesOf(ctx, d.Topic.Name, p.Partition, []int64{p.Offset})
		if err != nil {
			return err
		}
		why, at := SkipGone, d.unmet[p]
		for _, r := range drives {
			if r.State != postgres.RedriveAborted && (at.IsZero() || at.Equal(r.LetterAt)) {
				why = SkipDone
			}
		}
		d.report.Chosen++
		d.report.skip(why, &Letter{Place: schemas.Source{Topic: d.Topic.Name, Partition: p.Partition, Offset: p.Offset}})
	}
	return nil
}

// sentBefore returns the audit where the filter needs it, else nil.
func (d *redriving) sentBefore(ctx context.Context) (*Audit, error) {
	if !d.Filter.Open {
		return nil, nil
	}
	return OpenAudit(ctx, d.Database, d.Topic.Name)
}

// tell says how far the run is; the report has the offsets too.
func (d *redriving) tell(int64) {
	if d.Progress != nil {
		d.Progress(&d.report)
	}
}

// room is how many letters may still be sent, those that wait included.
func (d *redriving) room() int {
	if d.Max == 0 {
		return maxTogether
	}
	return d.Max - d.report.Run.Sent - int(d.report.Sent)
}

// consider puts a letter with those that are sent next, if it is chosen and can be sent.
func (d *redriving) consider(ctx context.Context, l *Letter) error {
	if !d.Filter.Match(l) {
		return nil
	}
	out, skip, err := d.prepare(ctx, l)
	if err != nil || out == nil && skip == "" {
		return err
	}
	d.report.Chosen++
	if skip != "" {
		d.report.skip(skip, l)
		return nil
	}
	size := len(out.record.Key) + len(out.record.Value)
	if len(d.batch) > 0 && d.bytes+size > maxTogetherBytes {
		if err := d.flush(ctx); err != nil {
			return err
		}
		if d.room() <= 0 {
			d.report.Chosen--
			return ErrEnough
		}
	}
	d.batch, d.bytes = append(d.batch, *out), d.bytes+size
	if len(d.batch) >= d.together() {
		return d.flush(ctx)
	}
	return nil
}

// together is how many letters are sent at once: at a rate, those of a tenth of a second.
func (d *redriving) together() int {
	n := min(maxTogether, d.room())
	if d.Rate > 0 {
		n = min(n, max(1, int(d.Rate/10)))
	}
	return n
}

// prepare makes of a letter what is to be sent, or says why it is not; neither where it was not chosen.
func (d *redriving) prepare(ctx context.Context, l *Letter) (*outgoing, Skip, error) {
	key, value, mended, chosen, err := d.Mended.apply(l)
	switch {
	case !chosen:
		return nil, "", nil
	case err != nil:
		return nil, SkipOther, nil
	case !l.Known || l.From.Topic == "":
		return nil, SkipNoLetter, nil
	case l.From.Topic != d.Requests && l.From.Topic != d.Feedback:
		return nil, SkipForeign, nil
	}
	event := l
	if l.Omitted > 0 {
		if event, err = fetchOmitted(ctx, d.Topic.Client, l); err != nil {
			return nil, "", err
		}
		switch {
		case event == nil && value == nil:
			return nil, SkipOmitted, nil
		case event == nil:
			event = l
		case !mended:
			key, value = event.Key, event.Value
		}
	}
	if event.Redrives >= d.MaxRedrives {
		return nil, SkipLoop, nil
	}
	if !d.Force && Refusal(value, l.From.Topic == d.Feedback, d.started) != "" {
		return nil, SkipBad, nil
	}
	out, err := d.outgoing(ctx, event, key, value, mended)
	return out, "", err
}

// outgoing addresses an event to the partition that it came from: whatever chose that, its key's events stay in
// order. One with another key goes where Kafka's Java client puts it.
func (d *redriving) outgoing(ctx context.Context, l *Letter, key, value []byte, mended bool) (*outgoing, error) {
	partitions, err := d.partitionsOf(ctx, l.From.Topic)
	if err != nil {
		return nil, err
	}
	to := l.From.Partition
	if to >= len(partitions) || !same(key, l.Key) {
		to = kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: key}, partitions...)
	}
	o := &outgoing{letter: l, row: postgres.Redrive{ID: newID(), Letter: l.Place, LetterAt: l.At, Reason: l.Reason, From: l.From,
		Mended: mended, Redrives: l.Redrives + 1, To: schemas.Source{Topic: l.From.Topic, Partition: to, Offset: -1}}}
	var request schemas.Request
	if l.From.Topic == d.Requests && schemas.DecodeRequest(value, &request) == nil {
		o.row.RequestID = request.RequestID
	}
	headers := make([]schemas.Header, 0, len(l.Headers)+2)
	for _, h := range l.Headers {
		if h.Key != schemas.HeaderDLQRedrives && h.Key != schemas.HeaderDLQRedriveID {
			headers = append(headers, h)
		}
	}
	headers = append(headers, schemas.Header{Key: schemas.HeaderDLQRedrives, Value: strconv.AppendInt(nil, int64(o.row.Redrives), 10)},
		schemas.Header{Key: schemas.HeaderDLQRedriveID, Value: []byte(o.row.ID)})
	o.record = producer.Record{Topic: l.From.Topic, Partition: to, Key: key, Value: value, Headers: headers}
	return o, nil
}

func (d *redriving) partitionsOf(ctx context.Context, topic string) ([]int, error) {
	if d.partitions[topic] == nil {
		list, err := partitionsOf(ctx, d.Topic.Client, topic)
		if err != nil {
			return nil, err
		}
		d.partitions[topic] = list
	}
	return d.partitions[topic], nil
}

// newID returns a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
