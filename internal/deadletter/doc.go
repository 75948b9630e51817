// Package deadletter reads the topic of dead letters and acts on it, for operators: it groups letters by their cause,
// sends events back to the topic that they came from, and deletes old letters.
//
// It promises that a letter is sent back once, whatever is killed on the way, unless it is told to send it again;
// that an event goes back as it came, or mended, with nothing more than two headers that say how often it did; and
// that memory is bounded however long the topic is. It keeps no offset and belongs to no group: reading changes
// nothing.
package deadletter
