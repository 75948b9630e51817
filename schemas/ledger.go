package schemas

// Batch is what the ledger stores at once: new decisions of one partition and the move of its fence.
type Batch struct {
	Topic     string
	Partition int
	From      int64       // where the fence stands
	Next      int64       // where it goes; not below From
	Decisions []*Decision // all with the same ScoredAt; none where only the fence moves
}
