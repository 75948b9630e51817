// Package readers runs the readers that docs/clients shows to apps, in Python and in Java, while servers fail, and
// checks what they saw: each committed result once, byte for byte the same as a third client sees, in order.
//
// It promises that a reader is a process of its own that ends with this one, even if this one is killed; that Finish
// gives an answer only after the reader has read everything before the given ends; and that Close leaves nothing
// running. A reader that ends by itself is an error with the last of what it said.
//
// Whether a result is in the topic twice is not for this package to say: it compares readers with the topic.
package readers
