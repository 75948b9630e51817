// Package telemetry turns what an instance does into Prometheus metrics.
//
// What happens often is reported batch by batch: a [Stream] is the observer of a consumer, takes one lock a batch
// and counts in plain numbers, without allocating. What merely is (breakers, models, caches, the catalogue) is asked
// for at each scrape, through [Sources]; a model or a configuration that is no longer in force is gone from the next
// scrape on.
//
// The number of series is bounded, whatever events say. Labels have values of fixed lists (tiers, reasons, codes,
// stages; a code that is not known is "other"), names of the configuration (topics), the partitions in hand, and the
// models in force; never an id of a request, a user or an item.
package telemetry
