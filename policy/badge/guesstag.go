package badge

// markLength is how many hexadecimal digits of a keyed hash make a mark: 48 bits,
// so that two of a few hundred are the same once in a thousand million times.
const markLength = 12

// GuessTag names something that somebody tried, as a number that is not enrolled or a
// wrong code, so that it is known again: by all who have the same first key, and
// without telling what it was.
func (reg *Registry) GuessTag(text string) string {
	return reg.keys.list[0].hash("tried", text)[:markLength]
}
