package catalog

import (
	"strings"

	"pullprint/policy/reasons"
)

// Reason is the text and the remedy of a decision: the program's own reasons in this language, with
// the cause and the devices to go to that stand in them; those of a policy as it says them.
func (l Language) Reason(code, text, remedy string) (inText, inRemedy string) {
	own, ok := reasons.Of(code)
	if !ok || l.Code() == "en" {
		return text, remedy
	}
	inText, inRemedy = l.Because(own.Text, text), l.Text(own.Remedy)
	if places, ok := between(remedy, "Go to ", ": your job is still waiting."); ok {
		if i := strings.LastIndex(places, " or "); i >= 0 {
			places = l.Text("%s or %s", places[:i], places[i+len(" or "):])
		}
		inRemedy = l.Text("Go to %s: your job is still waiting.", places)
	}
	return inText, inRemedy
}

// Because is a sentence in this language, with the causes behind a colon that it was told with in
// English.
func (l Language) Because(sentence, told string) string {
	if l.Code() == "en" {
		return told
	}
	text := l.Text(sentence)
	if causes, ok := between(told, strings.TrimSuffix(sentence, ".")+": ", "."); ok {
		if why := l.Causes(causes); why != "" {
			text = l.Text("%s:", strings.TrimSuffix(text, ".")) + " " + why + "."
		}
	}
	return text
}

// Causes is what is wrong with a printer, as far as there are words for it.
func (l Language) Causes(causes string) string {
	var list []string
	for cause := range strings.SplitSeq(causes, ", ") {
		if l.Has(cause) {
			list = append(list, l.Text(cause))
		}
	}
	return strings.Join(list, ", ")
}

// between is what stands in a text between its beginning and its end.
func between(text, begins, ends string) (inner string, ok bool) {
	inner, begun := strings.CutPrefix(text, begins)
	inner, ended := strings.CutSuffix(inner, ends)
	return inner, begun && ended
}
