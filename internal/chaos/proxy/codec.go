package proxy

// codec finds the messages of one connection. The readers of both directions use it at once.
type codec interface {
	// length returns how long the message is that b begins with, or 0 while b is too short to tell.
	length(d Direction, b []byte) int
	// request is told each message of the client, and says what it is.
	request(b []byte) Message
	// await keeps the answer to the request that was told last from being delivered. It is called
	// before that request goes on to the server.
	await(b []byte)
	// response is told each message of the server, and tells whether it may be delivered and whether
	// the answer that is awaited ends with it.
	response(b []byte) (deliver, awaited bool)
}

func newCodec(p Protocol) codec {
	switch p {
	case Kafka:
		return &kafkaCodec{}
	case Postgres:
		return newPostgresCodec()
	default:
		return opaque{}
	}
}

// opaque takes whatever comes for a message that says nothing.
type opaque struct{}

func (opaque) length(_ Direction, b []byte) int { return len(b) }
func (opaque) request([]byte) Message           { return Message{API: -1} }
func (opaque) await([]byte)                     {}
func (opaque) response([]byte) (bool, bool)     { return true, false }
