package view

import "pullprint/policy/pin"

// ActionSetPIN is the name in the audit of a PIN that was set on a page, by its owner or with a code.
const ActionSetPIN = "set-pin"

// RefusedPIN says why a new PIN, which was typed twice, can't be taken; it is empty for one that can.
func RefusedPIN(in Words, text, again string) string {
	switch {
	case !pin.Possible(text):
		return in.Text("A PIN has %d to %d digits, and nothing else. Type another one.", pin.MinLength, pin.MaxLength)
	case again != text:
		return in.Text("The two PINs differ. Type it once more in both fields.")
	case pin.CheckNew(text) != nil:
		return in.Text("This PIN is easy to guess. Type another one, with four different digits or more and without a pattern.")
	}
	return ""
}
