package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/loadgen"
	"recstream/schemas"
)

// partitions is how many the topics have unless told otherwise: recstream's default.
const partitions = 6

// numbers returns those of n partitions.
func numbers(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// How requests are made and written.
const (
	households = 10_000
	// writeBatch is how many requests are written at once, recordBatch how many of them share a record batch.
	writeBatch  = 2_000
	recordBatch = 50
)

// fingerprintSeed makes fingerprints of one run comparable, and of no other.
var fingerprintSeed = maphash.MakeSeed()

// fingerprint stands for a set of request ids: two sets with the same number and the same sum of hashes are
// the same, but for a chance of 2^-64.
type fingerprint struct {
	count int
	sum   uint64
}

// add takes an id into the set. The same id twice makes another set.
func (f *fingerprint) add(id []byte) {
	f.count++
	f.sum += maphash.Bytes(fingerprintSeed, id)
}

// merge takes another set in.
func (f *fingerprint) merge(other fingerprint) {
	f.count += other.count
	f.sum += other.sum
}

// generator makes requests of households, each with candidates drawn from the catalogue at random.
type generator struct {
	requests   *loadgen.Generator
	rng        *rand.Rand
	ids        []string // of the catalogue, in the order of the last draw
	candidates int
	written    fingerprint
}

// newGenerator returns a generator; the same seed makes the same requests, but for their times.
func newGenerator(seed uint64, items []schemas.Item, candidates int) *generator {
	g := &generator{
		requests:   loadgen.New(seed, households),
		rng:        rand.New(rand.NewPCG(seed, 1)),
		candidates: min(candidates, len(items)),
	}
	for i := range items {
		g.ids = append(g.ids, items[i].ID)
	}
	return g
}

// draw returns different ids, valid until the next call.
func (g *generator) draw() []string {
	for i := range g.candidates {
		j := i + g.rng.IntN(len(g.ids)-i)
		g.ids[i], g.ids[j] = g.ids[j], g.ids[i]
	}
	return g.ids[:g.candidates]
}

// message makes the next request's message. It asks for the default number of items.
func (g *generator) message() kafka.Message {
	var req schemas.Request
	g.requests.Next(&req)
	req.Limit, req.Candidates, req.RequestedAt = 0, g.draw(), time.Now()
	g.written.add([]byte(req.RequestID))
	return kafka.Message{Key: []byte(req.PartitionKey()), Value: schemas.AppendRequest(nil, &req)}
}

// preload writes n requests to a topic, with two writers, and returns the fingerprint of their ids.
func (s *stack) preload(ctx context.Context, topic string, n int, items []schemas.Item, candidates int) (fingerprint, error) {
	const writers = 2
	s.seed++
	var all fingerprint
	var generators [writers]*generator
	var errs [writers]error
	var wg sync.WaitGroup
	for i := range writers {
		generators[i] = newGenerator(s.seed*writers+uint64(i), items, candidates)
		share := n*(i+1)/writers - n*i/writers
		wg.Go(func() { errs[i] = generators[i].write(ctx, s.client, topic, share) })
	}
	wg.Wait()
	for i := range writers {
		if errs[i] != nil {
			return all, fmt.Errorf("write requests: %w", errs[i])
		}
		all.merge(generators[i].written)
	}
	return all, nil
}

// write makes n requests and writes them, each batch acknowledged before the next is made.
func (g *generator) write(ctx context.Context, client *kafka.Client, topic string, n int) error {
	writer := &kafka.Writer{
		Addr: client.Addr, Transport: client.Transport, Topic: topic, Balancer: kafka.Murmur2Balancer{},
		RequiredAcks: kafka.RequireAll, BatchSize: recordBatch, BatchTimeout: time.Millisecond,
	}
	defer writer.Close()
	messages := make([]kafka.Message, 0, writeBatch)
	for n > 0 {
		messages = messages[:0]
		for range min(n, writeBatch) {
			messages = append(messages, g.message())
		}
		if err := writer.WriteMessages(ctx, messages...); err != nil {
			return err
		}
		n -= len(messages)
	}
	return nil
}
