package history

// stream is one group's way through one partition.
type stream struct {
	group     string
	topic     string
	partition int
}

// commit is an offset of a stream that was committed.
type commit struct {
	stream
	offset int64
}

// checkCommits sees that committed offsets only went forward.
func (c *checker) checkCommits() {
	last := map[stream]int64{}
	for i := range c.Commits {
		o := &c.Commits[i]
		s := stream{o.Group, o.Topic, o.Partition}
		if before, some := last[s]; some && o.Offset < before {
			c.report(OffsetBackwards, Place{o.Topic, o.Partition, o.Offset}, "group %s: committed %d, and then %d", o.Group, before, o.Offset)
		}
		last[s] = o.Offset
		c.committed[commit{s, o.Offset}] = true
	}
}

// checkProgress sees that fences only went forward, that offsets were behind them, and that both ended at the log's end.
func (c *checker) checkProgress() {
	last := map[stream]*Progress{}
	for i := range c.Progress {
		p := &c.Progress[i]
		s := stream{p.Group, p.Topic, p.Partition}
		c.checkStep(last[s], p)
		last[s] = p
	}
	for i := range c.Logs {
		l := &c.Logs[i]
		group := c.Run.Groups.Requests
		if l.Topic == c.Run.Topics.Feedback {
			group = c.Run.Groups.Feedback
		}
		c.checkEnd(l, last[stream{group, l.Topic, l.Partition}])
	}
}

// checkStep compares an observation with the one before, nil for none.
func (c *checker) checkStep(before, p *Progress) {
	at := Place{p.Topic, p.Partition, p.Committed}
	if before != nil && p.Fence < before.Fence {
		c.report(FenceBackwards, at, "group %s: fence %d, and then %d at %v", p.Group, before.Fence, p.Fence, p.At)
	}
	if p.Committed != None && !c.committed[commit{stream{p.Group, p.Topic, p.Partition}, p.Committed}] {
		c.report(CommitLost, at, "group %s: committed %d at %v, of which Kafka's log has nothing", p.Group, p.Committed, p.At)
	}
	if p.Committed > p.Fence {
		c.report(OffsetAheadOfFence, at, "group %s: committed %d, fence %d at %v", p.Group, p.Committed, p.Fence, p.At)
	}
	switch { // a fence is beyond what is committed
	case p.Committed > p.End:
		c.report(OffsetBeyondEnd, at, "group %s: committed %d, the log ends at %d at %v", p.Group, p.Committed, p.End, p.At)
	case p.Fence > p.End:
		c.report(FenceBeyondEnd, at, "group %s: fence %d, the log ends at %d at %v", p.Group, p.Fence, p.End, p.At)
	}
}

// checkEnd compares a log with the last observation of its reader. What a reader has nothing to read of, it need not
// have been at.
func (c *checker) checkEnd(l *Log, p *Progress) {
	at := Place{l.Topic, l.Partition, l.End}
	switch {
	case l.First == l.End:
		return
	case p == nil:
		c.report(BrokenHistory, at, "nobody observed how far its reader was")
		return
	}
	switch { // what is not fenced cannot be committed
	case p.Fence < l.End:
		c.report(FenceNotAtEnd, at, "group %s: fence %d, committed %d", p.Group, p.Fence, p.Committed)
	case p.Committed < l.End:
		c.report(OffsetNotAtEnd, at, "group %s: committed %d", p.Group, p.Committed)
	}
}
