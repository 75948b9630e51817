// Package feature makes the inputs of a recommendation model from a request, a catalogue item and a user's
// profile, as the model's Declaration says. It owns the vocabulary of features and what each of them means;
// New refuses what it cannot make, so a model never sees a silent zero.
//
// A feature has a source, a kind and a field, which say what is read; then transforms, whose fitted
// parameters stand in the declaration, so that serving computes what training did; then what the model sees
// where the value is missing. A value is missing where it is unknown, and where a transform has no finite
// result for it. What stands for a missing value is not transformed.
//
//	source     field             kinds                        value, and when it is missing
//	request    mood, group_size, one_hot, category            the context; missing when unknown
//	           session_length
//	           hour              number                       0 to 23, UTC, of the request's time
//	           weekday           number                       0 is Monday, UTC, as in Python and pandas
//	           limit             number                       items wanted
//	item       id                hashed
//	           genres            one_hot, count               names match with their case; missing without any
//	           franchise         one_hot, category, hashed    missing when empty
//	           duration_min      number                       minutes; missing when 0
//	           year, popularity  number                       missing when 0
//	           added_at          recency                      missing when unknown
//	user       activity          number                       decayed number of feedback events
//	           typical_duration  number                       minutes; missing before anything was watched
//	           genre_affinity    number                       for the genre in value; 0 without evidence
//	           last_activity     recency
//	history    seen, dismissed   count                        distinct items, as far as the profile keeps them
//	user_item  genre_affinity    number                       over the item's genres: aggregate sum, mean or max
//	           seen, dismissed   flag, recency                recency is missing when it never happened
//	           impressions       count                        how often the item was shown to the user
//	           duration_min      ratio                        the item's to the user's typical duration
//
// Everything of user, history and user_item is missing for a user without a profile. A recency is in days
// before the request's time, never negative; it, hour and weekday are missing when the request has no time.
// What a profile says was seen or dismissed after that time does not count.
//
// The kinds:
//
//	one_hot   1 where the field is, or for genres has, value; else 0
//	category  the place of the field's value in values, from 0; missing when it is not listed
//	hashed    MurmurHash3 (32 bits, seed 0) of the text, modulo buckets; in Python:
//	          sklearn.utils.murmurhash3_32(text, positive=True) % buckets
//	flag      1 for yes, 0 for no
//	number, count, ratio, recency   as they are
//
// A vector has three parts, so that each is made only as often as it changes: the request part once a
// request, the item part once a catalogue, the pair part for each candidate. Making them allocates nothing
// once an Inputs has grown to its largest profile.
package feature
