// Package popularity owns how popular each item is in each context: mood, company and time. It makes that of the
// outcomes that were counted, and of the catalogue's own popularities where there are few or none.
//
// Shares of few outcomes are noise, so a context leans on all contexts together, and these lean on the catalogue, the
// more the fewer outcomes there are. With n(c,i) the outcomes of item i in context c, n(i) those in all contexts,
// N their sum over the items, q(i) the item's part of all popularities in the catalogue, and m the strength of the prior:
//
//	p(i)   = (n(i) + m·q(i)) / (N + m)
//	p(i|c) = (n(c,i) + m·p(i)) / (N(c) + m)
//
// This is the hierarchy of Dirichlet priors of D. J. C. MacKay and L. C. Bauman Peto, A Hierarchical Dirichlet Language
// Model (1995), with one strength for all, in the form of C. Zhai and J. Lafferty, A Study of Smoothing Methods for
// Language Models Applied to Information Retrieval (2004). Where no item has a popularity in the catalogue, all have
// the same q.
//
// An outcome's weight halves with each half-life. Its age is counted to the latest outcome of all, as there is no
// clock here: where nothing happens, nothing fades, and the same counts make the same table.
package popularity
