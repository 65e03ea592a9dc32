package own

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/cache"
	"pullprint/connector/console/signin"
	"pullprint/connector/console/view"
	"pullprint/connector/privacy"
)

// dataPath is where a person gets what is stored about them.
const dataPath = "/me/data"

// The limits of exports.
const (
	// maxExport is how many bytes an export may have: as many as the client of the API reads.
	maxExport = 64 << 20
	// maxExports is how many exports are made and sent at once: their records fit the memory of the process
	// beside 100,000 held jobs.
	maxExports = 2
	// exportEvery is how often a person may ask: each export reads all that is stored.
	exportEvery = time.Minute
	// collectWithin bounds the reading of all that is stored, some millions of records, and sendWithin the
	// sending of maxExport at 5 Mbit/s.
	collectWithin = 2 * time.Minute
	sendWithin    = 2 * time.Minute
)

// exports bounds how many exports are made at once, and for one person one alone.
type exports struct {
	asked cache.Limit
	now   cache.Shares
}

// begin reports whether an export for a person may be made; then end is to be called.
func (e *exports) begin(person string) (end func(), ok bool) {
	ofAll, ok := e.now.Take("", maxExports)
	if !ok {
		return nil, false
	}
	theirs, ok := e.now.Take(person, 1)
	if !ok || !e.asked.Allows(person, time.Now()) {
		ofAll()
		if ok {
			theirs()
		}
		return nil, false
	}
	return func() { theirs(); ofAll() }, true
}

// sendData answers with everything that is stored about the person, as a file.
func (p *Pages) sendData(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	end, ok := p.exports.begin(who.Person)
	if !ok {
		rw.Header().Set("Retry-After", strconv.Itoa(int(exportEvery/time.Second)))
		p.noData(rw, who, http.StatusServiceUnavailable, who.in.Text("Not at the moment"),
			who.in.Text("You have asked already, or others are asking. Try again in a minute."))
		return
	}
	defer end()
	// A writer that has no deadlines is a test's.
	answer := http.NewResponseController(rw)
	_ = answer.SetWriteDeadline(time.Now().Add(collectWithin + sendWithin))
	ctx, cancel := context.WithTimeout(req.Context(), collectWithin)
	defer cancel()
	data, err := p.Self.ExportOwn(ctx, who.Person, maxExport)
	switch {
	case errors.Is(err, privacy.ErrTooLarge):
		p.noData(rw, who, http.StatusConflict, who.in.Text("There is too much for one file"),
			who.in.Text("Ask your help desk for what is stored about you: it can export all of it."))
		return
	case err != nil:
		p.failMe(rw, who, err)
		return
	}
	_ = answer.SetWriteDeadline(time.Now().Add(sendWithin))
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("Content-Disposition", `attachment; filename="printing-data.json"`)
	if err := data.Write(rw); err != nil { // the person sees that the file is not whole
		p.log.Debug("export not sent", zap.Error(err))
	}
}

func (p *Pages) noData(rw http.ResponseWriter, who visitor, status int, title, text string) {
	p.Site.Show(rw, status, "message", view.Page{Title: title, Data: text, Home: signin.OwnHome, In: who.in})
}
