package deadletter

import (
	"context"
	"fmt"
	"time"

	"recstream/internal/postgres"
)

// History tells what became of letters that were sent back.
type History struct {
	Topic    Topic
	Database *postgres.Database
	Groups   map[string]string // by topic that events go back to: the consumer group that reads it
}

// Of returns when a letter was sent back, the oldest first.
func (h *History) Of(ctx context.Context, l *Letter) ([]DocumentDrive, error) {
	rows, err := h.Database.RedrivesOf(ctx, l.Place.Topic, l.Place.Partition, []int64{l.Place.Offset})
	if err != nil {
		return nil, err
	}
	var list []DocumentDrive
	for i := range rows {
		r := &rows[i]
		if !r.LetterAt.Equal(l.At) {
			continue // of a letter that stood here before the topic was made anew
		}
		outcome, err := h.outcome(ctx, l, r)
		if err != nil {
			return nil, err
		}
		list = append(list, DocumentDrive{ID: r.ID, At: r.BegunAt, By: r.Actor, Why: r.Why, State: string(r.State), Mended: r.Mended,
			To: DocumentPlace{r.To.Topic, r.To.Partition, r.To.Offset}, Outcome: outcome})
	}
	return list, nil
}

// outcome says what came of one redrive.
func (h *History) outcome(ctx context.Context, l *Letter, r *postgres.Redrive) (string, error) {
	switch r.State {
	case postgres.RedriveSending:
		return "on its way, or cut off; the next redrive finds out", nil
	case postgres.RedriveAborted:
		return "was not sent", nil
	case postgres.RedriveUnknown:
		return "not known: retention has deleted what would tell", nil
	case postgres.RedriveSent:
	}
	to := fmt.Sprintf("%s/%d/%d", r.To.Topic, r.To.Partition, r.To.Offset)
	fence, ok, err := postgres.NewLedger(h.Database, h.Groups[r.To.Topic], 0).Fence(ctx, r.To.Topic, r.To.Partition)
	if err != nil {
		return "", err
	}
	if r.To.Offset < 0 || !ok || fence <= r.To.Offset {
		return "sent to " + to + ", not read yet", nil
	}
	again, err := h.rejectedAgain(ctx, l, r)
	if err != nil {
		return "", err
	}
	if again != nil {
		return fmt.Sprintf("sent to %s, rejected again: %s, see %d/%d", to, again.Reason, again.Place.Partition, again.Place.Offset), nil
	}
	if r.RequestID == "" {
		return "sent to " + to + ", read and stored", nil
	}
	decision, err := h.Database.Decision(ctx, r.RequestID)
	if err != nil {
		return "", err
	}
	if decision == nil {
		return "sent to " + to + ", read; its decision is no longer kept", nil
	}
	return fmt.Sprintf("sent to %s, answered by tier %s", to, decision.Tier), nil
}

// clockSkew is how far the clock of an instance, which dates its letters, may be behind the database's, which dates redrives.
const clockSkew = 5 * time.Minute

// rejectedAgain returns the letter that the event became once more, nil if it did not. Letters of a key stand in one
// partition, and one that was written since stands behind.
func (h *History) rejectedAgain(ctx context.Context, l *Letter, r *postgres.Redrive) (again *Letter, err error) {
	spans, err := h.Topic.Spans(ctx, r.BegunAt.Add(-clockSkew))
	if err != nil {
		return nil, err
	}
	for _, s := range spans {
		if s.Partition != l.Place.Partition && l.Key != nil && !r.Mended {
			continue
		}
		err := h.Topic.Read(ctx, s, func(other *Letter) error {
			if other.From == r.To {
				again = other
				return ErrEnough
			}
			return nil
		}, nil)
		if err != nil || again != nil {
			return again, err
		}
	}
	return nil, nil
}
