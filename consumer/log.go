package consumer

// Keys of log attributes.
const (
	keyGroup      = "group"
	keyGeneration = "generation"
	keyPartitions = "partitions"
	keyPartition  = "partition"
	keyTopic      = "topic"
	keyOffset     = "offset"
	keyFrom       = "from_offset"
	keyTo         = "to_offset"
	keyReason     = "reason"
	keyCount      = "count"
	keyStage      = "stage"
	keyAttempt    = "attempt"
	keyWait       = "wait"
	keyFor        = "for"
	keyError      = "error"
	keyCode       = "code"
)
