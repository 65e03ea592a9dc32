package notice

// Words are a text and a remedy of the program's own, for a kind of notice that no decision says them
// for.
type Words struct{ Text, Remedy string }

var words = map[string]Words{
	Failed: {"The printer could not finish the job.", "Print it again, or at another printer if it fails there once more."},
	BudgetLow: {
		"Your print budget for this period is almost used up.", "Print on both sides or in black and white where that costs less.",
	},
	BudgetExhausted: {
		"Your print budget for this period is used up.",
		"You can print again in the next period, or ask whoever manages your print budget.",
	},
	BadgeEnrolled: {"A badge was enrolled for you.", "If you know nothing of it, tell your administrator at once."},
	PINChanged:    {"Your PIN for the printers was set.", "If you know nothing of it, tell your administrator at once."},
}

// WordsOf are those of a kind; ok is false when its decisions say them.
func WordsOf(kind string) (w Words, ok bool) {
	w, ok = words[kind]
	return w, ok
}

// descriptions are the kinds in words, as people choose of which they are told. The catalog has them in
// other languages.
var descriptions = map[string]string{
	Aborted:           "A job of mine will not be printed",
	Kept:              "A job of mine could not be released",
	Failed:            "A job of mine failed at the printer",
	HoldEnding:        "A job of mine will be deleted soon",
	HoldExpired:       "A job of mine was deleted, since nobody released it",
	BudgetLow:         "Little is left of my print budget",
	BudgetExhausted:   "My print budget is used up",
	ReleasedByAnother: "Somebody else released a job of mine",
	BadgeEnrolled:     "A badge was enrolled for me",
	PINChanged:        "My PIN was set",
}

// Description says in English when people are told a kind of notice; it is a text of the catalog.
func Description(kind string) string { return descriptions[kind] }
