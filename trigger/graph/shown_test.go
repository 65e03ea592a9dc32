package graph

import "testing"

// The title of a job is for its owner: where another person's job has its number, there is none.
func TestTitleIsForTheOwner(t *testing.T) {
	s := &scripted{status: 200, answer: jobJSON}
	for owner, want := range map[string]string{
		"DE80C0C8-1eb4-4f2c-9d4b-6a2f0c7a7e16": "Secret Plan.docx", "": "Secret Plan.docx",
		"11111111-2222-4333-8444-555555555555": "",
	} {
		if got, err := s.client(t).Title(t.Context(), ref, owner); err != nil || got != want {
			t.Errorf("for %q: %q, %v", owner, got, err)
		}
	}
}
