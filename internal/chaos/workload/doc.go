// Package workload makes what apps publish in tests under faults, and publishes it.
//
// A Generator makes events, good and bad, requests and feedback, each with what is to become of it; the same options
// make the same events. A Publisher brings them to Kafka through any fault and says where each of them landed: the
// topic itself is asked, not the answers of a broker that may have been lost.
package workload
