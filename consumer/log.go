package consumer

// Keys of log attributes.
const (
	keyGroup      = "group"
	keyGeneration = "generation"
	keyPartitions = "partitions"
	keyPartition  = "partition"
	keyTopic      = "topic"
	keyOffset     = "offset"
	keyNext       = "next_offset"
	keyCount      = "count"
	keyStage      = "stage"
	keyAttempt    = "attempt"
	keyWait       = "wait"
	keyFor        = "for"
	keyError      = "error"
	keyCode       = "code"
)
