package schemas

// Fence is how far a Kafka partition stands in the ledger.
type Fence struct {
	Next  int64 // offset after the last event that is stored
	Batch int64 // offset that the last stored batch began at: its results may not have left yet
}

// Batch is what the ledger stores at once: new decisions of one partition and the move of its fence.
type Batch struct {
	Topic     string
	Partition int
	From      int64       // where the fence stands
	Next      int64       // where it goes; not below From
	Begin     int64       // offset that the batch began at
	Decisions []*Decision // all with the same ScoredAt; none where only the fence moves
}
