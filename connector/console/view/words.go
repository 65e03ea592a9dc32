package view

import (
	"context"
	"net/http"
	"strings"
	"time"

	"pullprint/connector/catalog"
	"pullprint/connector/decision"
	"pullprint/connector/release"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
)

// Words is how a page of a station speaks to its person: in which language, in which zone,
// and in which currency; without a currency in pages.
type Words struct {
	catalog.Language
	zone     *time.Location
	now      time.Time
	currency string
}

// Words are those for the first of the languages that is there, else the station's.
func (s *Site) Words(languages ...string) Words {
	w := Words{
		Language: s.catalog.Choose(append(languages, s.o.Language)...), zone: s.in(), now: time.Now(),
	}
	if s.o.Currency != nil {
		w.currency = s.o.Currency()
	}
	return w
}

// WordsFor are those for a person, by object id, as the directory says, else as the browser of a response wishes;
// without a person as that wishes.
func (s *Site) WordsFor(ctx context.Context, rw http.ResponseWriter, person string) Words {
	return s.Words(s.Person(ctx, person).Language, Wished(rw))
}

// spoken is a response to a browser that wishes for languages.
type spoken struct {
	http.ResponseWriter
	languages string
}

// Speak makes of a response one to the browser that sent a request, whose languages Wished tells.
func Speak(rw http.ResponseWriter, req *http.Request) http.ResponseWriter {
	return spoken{rw, req.Header.Get("Accept-Language")}
}

// Unwrap is for http.ResponseController, which sets deadlines.
func (s spoken) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Wished are the languages that the browser of a response wishes for.
func Wished(rw http.ResponseWriter) string {
	s, _ := rw.(spoken)
	return s.languages
}

// Clock is a day of the week and a time.
func (w Words) Clock(t time.Time) string { return w.Language.Clock(t.In(w.zone)) }

// Date is a day and a time.
func (w Words) Date(t time.Time) string { return w.Language.Date(t.In(w.zone)) }

// Until is a time to come.
func (w Words) Until(t time.Time) string { return w.Language.Until(w.now.In(w.zone), t.In(w.zone)) }

// Amount is what something costs, or what is left.
func (w Words) Amount(a quota.Amount) string {
	return w.Language.Amount(float64(a)/float64(quota.Unit), w.currency)
}

// TryAgain is what somebody is told when a page can't be shown at the moment.
const TryAgain = "It can't be done at the moment. Nothing is lost: try again in a few seconds. If that does not help, tell " +
	"your administrator."

// AtTheMoment is what a person is told of an error that they did not cause.
const AtTheMoment = "It can't be done at the moment. Nothing is lost: please show your badge again in a few seconds. " +
	"If that does not help, tell your administrator."

// Message is an answer to what was sent: in English what is not in the catalog is shown as it
// is, elsewhere it is told in general.
func (w Words) Message(text string) string {
	switch {
	case text == "", w.Code() == "en":
		return text
	case w.Has(text):
		return w.Text(text)
	}
	return w.Text(AtTheMoment)
}

// prints are the names of the ways to print a job: by fewer copies, without colour and on both
// sides, in this order.
var prints = [2][2][2]string{
	{{"Print", "Print on both sides"}, {"Print in black and white", "Print in black and white, on both sides"}},
	{
		{"Print one copy", "Print one copy on both sides"},
		{"Print one copy in black and white", "Print one copy in black and white, on both sides"},
	},
}

// Print is what a button says that prints a job so.
func (w Words) Print(s decision.Settings) string {
	at := func(is bool) int {
		if is {
			return 1
		}
		return 0
	}
	return w.Text(prints[at(s.Copies == 1)][at(s.ColorMode != "")][at(s.DuplexMode != "")])
}

// Facts are what comes out of the printer for a job, in words.
func (w Words) Facts(p release.Printed) string {
	var list []string
	if p.Sheets > 0 {
		key := "%d sheets"
		if p.Estimated {
			key = "about %d sheets"
		}
		list = append(list, w.Text(key, p.Sheets))
	}
	if p.Color {
		list = append(list, w.Text("colour"))
	} else {
		list = append(list, w.Text("black and white"))
	}
	if p.Duplex {
		list = append(list, w.Text("both sides"))
	}
	if p.OneSided {
		list = append(list, w.Text("one side: this printer can't print on both"))
	}
	if p.Copies > 1 {
		list = append(list, w.Text("%d copies", p.Copies))
	}
	return strings.Join(list, " · ")
}

// Reason is why a job is refused, in this language.
func (w Words) Reason(r release.Reason) release.Reason {
	r.Text, r.Remedy = w.Language.Reason(r.Code, r.Text, r.Remedy)
	return r
}

// Refused is Reason for a job that waits: when its cost is the reason, it says what is left.
// Another is true where the job is not the person's own.
func (w Words) Refused(q release.Quote, another bool) release.Reason {
	r := w.Reason(q.Reason)
	short := q.Short
	if q.Reason.Code != reasons.QuotaExhausted || short == nil {
		return r
	}
	cost, left, until := w.Amount(q.Cost), w.Amount(max(short.Rest, 0)), w.Date(short.Renews)
	switch {
	case short.Account != "":
		r.Text = w.Text("This job costs %s, and %s has %s left until %s.", cost, short.Account, left, until)
	case another:
		r.Text = w.Text("This job costs %s, and its owner has %s left until %s.", cost, left, until)
	default:
		r.Text = w.Text("This job costs %s, and you have %s left until %s.", cost, left, until)
	}
	if own, _ := reasons.Of(q.Reason.Code); q.Variant == nil {
		r.Remedy = w.Text(own.Remedy)
	} else {
		r.Remedy = "" // the button says it
	}
	return r
}
