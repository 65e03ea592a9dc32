// Package graphtest simulates Universal Print for tests: the part of Microsoft Graph v1.0 that print
// management uses, and the Entra token endpoint, in one process.
//
// It is written from the public contract alone and shares no type with the client that it tests, so that both
// don't share a misreading of the contract. It is hostile by default: it throttles, fails, applies writes whose
// answer never arrives, loses, repeats, delays and reorders notifications, and uses words that are not documented.
// Where the documentation does not tell (marked "unknown" in the comments), a knob selects the answer, and the
// hostile setting uses all of them.
//
// A Sim serves HTTP on sockets ([Sim.ServeHTTP]) or in memory ([Sim.Transport]); the latter works in virtual time
// inside a testing/synctest bubble, if the Sim was created inside it. All randomness follows from the seed: the
// n-th call of one operation on one object has the same result in every run with the same seed, however calls on
// other objects interleave.
//
// Graph is under /v1.0, the authority under /{tenant}/oauth2/v2.0, document content under /_documents.
// [Sim.Control] is a page and a JSON interface for people; it is a separate handler and has no authentication.
package graphtest
