package proxy

import (
	"encoding/binary"
	"sync"
)

// kafkaCodec reads the frames of Kafka's protocol, https://kafka.apache.org/protocol: four bytes of
// length; then in a request api key (2), its version (2) and correlation id (4), in a response the
// correlation id of its request.
type kafkaCodec struct {
	mu      sync.Mutex
	waiting bool
	id      uint32 // correlation id of the awaited answer
}

const kafkaHead = 4 + 2 + 2 + 4 // bytes of a request up to the end of its correlation id

func (*kafkaCodec) length(_ Direction, b []byte) int {
	if len(b) < 4 {
		return 0
	}
	return 4 + int(binary.BigEndian.Uint32(b))
}

func (*kafkaCodec) request(b []byte) Message {
	if len(b) < kafkaHead {
		return Message{API: -1, Bytes: b}
	}
	return Message{API: int16(binary.BigEndian.Uint16(b[4:])), Bytes: b}
}

func (k *kafkaCodec) await(b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting, k.id = true, binary.BigEndian.Uint32(b[8:])
}

func (k *kafkaCodec) response(b []byte) (deliver, awaited bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	awaited = k.waiting && len(b) >= 8 && binary.BigEndian.Uint32(b[4:]) == k.id
	return !awaited, awaited
}
