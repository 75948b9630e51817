// Package explain says in plain words why an item was recommended. It owns the templates of the one-line reasons
// and the labels of features, and picks the features that count most in a model's score.
//
// Values in, values out: the same facts make the same text in every process, without a clock or I/O.
//
// A reason claims what the facts hold and nothing else. That an item fits the moment is said where the rules for
// the context chose it; that the user likes a genre, where the profile holds it and the score counted it; that it
// is popular with somebody, where outcomes of that context say so; that it is similar to another item, where the
// two have something in common. What nobody knows is left out, and never guessed from other people.
package explain
