// Package history is the independent judge of the exactly-once guarantee: it holds what was published, stored,
// emitted and committed in one run, and says from that alone what is wrong.
//
//	history.go      what a history is made of
//	bytes.go        bytes as people can read them
//	lines.go        a history as a file of JSON Lines, to be kept and checked again
//	check.go        Check: the whole of the judgement, one file a subject:
//	requests.go     every good request has one row and one result; a row says what its event said
//	answers.go      a result is what its row says
//	emissions.go    both views of the results topic; repeats and redeliveries have the same bytes; order per key
//	rejections.go   every bad event has one dead letter and, where its id is readable, one rejected result
//	feedback.go     every feedback has one outcome
//	recount.go      profiles and popularity are what the feedback comes to, each counted once
//	gaps.go         what was passed over is what retention deleted, and was not answered
//	progress.go     offsets and fences only go forward, and end at the end of the log
//	violation.go    what can be wrong, by a stable code
//
// It promises to share nothing with what it judges: it imports the standard library alone, and has forms of its own of
// events, results and rows. Collecting a history is package collect's work, making events that of package workload.
package history
