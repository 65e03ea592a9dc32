// Package graphtest is a Universal Print to rehearse against: the part of Microsoft Graph v1.0 that print
// management uses, and the Entra token endpoint before it, in one process.
//
// It is written from the public contract alone and shares no type with the client it is used to test, so that
// a misreading of the contract does not cancel itself out. It is hostile by default: it throttles, fails, applies
// writes whose answer never arrives, loses, repeats, delays and reorders notifications, and says words that no
// documentation lists. Where the documentation is silent (marked "unknown" in the comments) each answer comes
// from a knob, and the hostile setting takes any of them.
//
// A Sim serves HTTP on sockets ([Sim.ServeHTTP]) or in memory ([Sim.Transport]); the second works in virtual time
// inside a testing/synctest bubble, if the Sim is made inside it. Everything random follows from the seed: the
// n-th call of one operation on one object meets the same fate in every run with the same seed, however calls on other
// objects interleave.
//
// Graph lives under /v1.0, the authority under /{tenant}/oauth2/v2.0, document payloads under /_documents.
// [Sim.Control] is a page and a JSON interface for people; it is a separate handler and has no authentication.
package graphtest
