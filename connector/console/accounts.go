package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/evaluate"
	"pullprint/policy/quota"
)

const (
	// accountRows is how many shared accounts are listed, each of which is read.
	accountRows = 50
	// historySpan is how far back the history of an account goes here, and historyRows how many entries
	// are listed: the newest.
	historySpan = 31 * 24 * time.Hour
	historyRows = 50
)

// accountsPage are the shared accounts that allowances are for.
type accountsPage struct {
	Accounts []evaluate.AccountStatus
	More     int
}

// accountPage is a shared account with what happened on it, newest first.
type accountPage struct {
	evaluate.AccountStatus
	Path    string
	Admin   bool
	Done    string
	History []quota.Entry
}

// accounts lists the shared accounts; those of people are on their pages.
func (p *Pages) accounts(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.Callers.Reader(rw, req)
	if !ok {
		return
	}
	var data accountsPage
	var failed error
	keys := p.Policy().SharedAccounts()
	data.More = max(0, len(keys)-accountRows)
	for _, key := range keys[:len(keys)-data.More] {
		account, err := p.API(c).Quota(req.Context(), key)
		if err != nil {
			failed = err
			break
		}
		data.Accounts = append(data.Accounts, account)
	}
	shown := p.page(rw, req, c, "Accounts")
	shown.Data = data
	wrong(&shown, failed)
	p.Site.Show(rw, statusOf(failed), "accounts", shown)
}

func (p *Pages) account(rw http.ResponseWriter, req *http.Request) {
	if c, ok := p.Callers.Reader(rw, req); ok {
		p.showAccount(rw, req, c, nil)
	}
}

// showAccount shows a shared account, and why what was asked for was not done. That of a person is on
// their page.
func (p *Pages) showAccount(rw http.ResponseWriter, req *http.Request, c access.Caller, failed error) {
	key := req.PathValue("account")
	path := accountPath(key)
	if !strings.HasPrefix(path, "/accounts/") {
		p.noSuch(rw, req, c, "There is no such account",
			"A shared account is group.NAME or center.NAME; that of a person is on their page, at /people.")
		return
	}
	data := accountPage{Path: path, Admin: c.May(access.RoleAdmin)}
	var err error
	if data.AccountStatus, err = p.API(c).Quota(req.Context(), key); err == nil {
		var history apiclient.EntryList
		history, err = p.API(c).QuotaHistory(req.Context(), key, time.Now().Add(-historySpan))
		data.History = history.Entries[max(0, len(history.Entries)-historyRows):]
		slices.Reverse(data.History)
	}
	if failed != nil {
		err = failed
	}
	shown := p.page(rw, req, c, "Accounts")
	data.Done = shown.In.Text(doneTo[req.URL.Query().Get("done")])
	shown.Title, shown.Data = key, data
	wrong(&shown, err)
	p.Site.Show(rw, statusOf(err), "account", shown)
}

// adjustShared gives to a shared account, or takes from it.
func (p *Pages) adjustShared(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.Callers.Administrator(rw, req)
	if !ok {
		return
	}
	key, reason := req.PathValue("account"), strings.TrimSpace(req.PostFormValue("reason"))
	path := accountPath(key)
	var err error = errNoReason
	if reason != "" {
		err = adjustAccount(req.Context(), p.API(c), req, key, reason)
	}
	if err == nil && path != "" {
		http.Redirect(rw, req, path+"?done=adjusted", http.StatusSeeOther)
		return
	}
	p.showAccount(rw, req, c, err)
}
