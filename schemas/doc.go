// Package schemas owns what the parts of recstream say to each other and to the world: the event types and their
// codecs, the published documents that describe them (JSON Schema, AsyncAPI), the names of topics and headers, and
// the database's migrations.
//
// Decoding is strict: [DecodeRequest] and [DecodeFeedback] take what the published schemas allow and nothing else,
// within fixed limits of size and nesting, and every refusal is a [*DecodeError] with a stable code and the field at
// fault. The ids of a refused event are still read where that is possible, so that its sender can be told.
//
// Encoding is deterministic: the same value gives the same bytes, and the Append functions allocate nothing beyond
// growing their destination.
//
// Decoding has two steps. First jsontext proves that the value is one well-formed JSON text. Then a cursor walks the
// proven text, and need not look for errors of form again; strings without escapes are slices of one copy of it.
package schemas
