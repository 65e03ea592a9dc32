package admin

import (
	"reflect"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/decision"
	"pullprint/connector/delegation"
	"pullprint/connector/evaluate"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/privacy"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/connector/sweep"
	"pullprint/policy/badge"
	"pullprint/policy/quota"
)

// What openapi.json says beyond what the routes and types tell.

// operation is what the file says of a route.
type operation struct {
	summary string
	query   []object
	body    any
	// required are the members that a body has to have.
	required []string
	csv      bool
	done     string // what is said of an answer
	answer   any    // nil when it is not JSON of ours
}

// parameter is one in the query, which may be left out.
func parameter(name, description string) object {
	return object{
		"name": name, "in": "query", "required": false, "description": description, "schema": object{"type": "string"},
	}
}

// boolean is a parameter that is true or false.
func boolean(name, description string) object {
	p := parameter(name, description)
	p["schema"] = object{"type": "boolean"}
	return p
}

var (
	owner = parameter("owner", "Entra object id, or a user name that Entra knows.")
	limit = object{
		"name": "limit", "in": "query", "required": false, "description": "How many, 100 when not given.",
		"schema": object{"type": "integer", "minimum": 1, "maximum": apiclient.MaxPage},
	}
	cursor = parameter("cursor", "next of an earlier page.")
	state  = object{
		"name": "state", "in": "query", "required": false, "description": "State of the job.",
		"schema": object{"type": "string", "enum": states},
	}
	since = parameter("since",
		"A time, or a duration back from now, as 24h, or the next of the page before; an hour when not given.")
)

// operations are the routes by method and path.
var operations = map[string]operation{
	"GET /v1/openapi.json": {summary: "This file."},
	"POST /v1/taps": {
		summary: "A badge was shown at a device: release what its owner may release there. With a reader's token, device " +
			"may be left out.",
		body: apiclient.TapBody{}, answer: release.Outcome{},
	},
	"GET /v1/jobs": {
		summary: "Jobs, newest first.", answer: apiclient.JobList{},
		query: []object{
			owner, parameter("queue", "Name of a queue."), parameter("job", "Id of a job, of whatever queue."), state, limit,
			cursor,
		},
	},
	"GET /v1/jobs/{printer}/{job}": {summary: "One job with its whole trace.", answer: apiclient.JobDetail{}},
	"POST /v1/jobs/{printer}/{job}/release": {
		summary: "Send a held job to a device, for its owner.",
		body:    apiclient.ReleaseBody{}, required: []string{"device"}, answer: release.Outcome{},
	},
	"POST /v1/jobs/{printer}/{job}/cancel": {
		summary: "Abort a held job.", body: apiclient.CancelBody{}, answer: release.Refused{},
	},
	"GET /v1/badges": {
		summary: "Badges; no card number is shown. With limit or cursor a page of them, those changed longest ago first; " +
			"else all, newest first, and 400 when there are more than 10000.",
		query: []object{owner, limit, cursor}, answer: apiclient.BadgeList{},
	},
	"PUT /v1/badges": {
		summary: "Enrol a badge.", body: apiclient.EnrolBody{}, required: []string{"badge", "owner"}, answer: badge.Badge{},
	},
	"DELETE /v1/badges": {
		summary: "Revoke badges: one member but note says which; owner beside id means that badge only if it is theirs.",
		body:    apiclient.RevokeBody{}, answer: apiclient.BadgeList{},
	},
	"POST /v1/badges/import": {
		summary: "Enrol the badges of a CSV file with the columns badge, owner, user_principal_name, expires: all, or none " +
			"if a row is wrong.",
		query: []object{
			boolean("replace", "true takes badges away from whoever has them."),
			boolean("as_is", "true takes numbers that look as if a spreadsheet had cut them."),
			boolean("skip_invalid", "true leaves out the rows that are wrong and enrols the others."),
		},
		csv: true, answer: apiclient.Imported{},
	},
	"POST /v1/badges/codes": {
		summary: "Make a one-time code for a station: to enrol a badge, to print once without it, or to set a PIN.",
		body:    apiclient.CodeBody{}, required: []string{"owner"}, answer: apiclient.CodeIssued{},
	},
	"GET /v1/pins/{user}": {
		summary: "Whether a person has a PIN, since when, and whether it is locked.", answer: apiclient.PINState{},
	},
	"POST /v1/pins/{user}/unlock": {
		summary: "Forget the wrong tries at a person's PIN. The note is in the audit.",
		body:    apiclient.NoteBody{}, answer: apiclient.PINState{},
	},
	"DELETE /v1/pins/{user}": {
		summary: "Remove a person's PIN, and end the visits that were begun with it. The note is in the audit.",
		body:    apiclient.NoteBody{}, answer: apiclient.PINState{},
	},
	"GET /v1/delegations": {
		summary: "Who may release whose jobs now.", answer: apiclient.DelegationList{},
		query: []object{
			parameter("owner", "Only the jobs of this person: an Entra object id, or a user name that Entra knows."),
			parameter("to", "Only what this person may release: an Entra object id, or a user name that Entra knows."),
		},
	},
	"PUT /v1/delegations": {
		summary: "Let a person release an owner's jobs until a time.",
		body:    apiclient.DelegationBody{}, required: []string{"owner", "to"}, answer: delegation.Delegation{},
	},
	"DELETE /v1/delegations": {
		summary: "End a delegation.", body: apiclient.DelegationBody{}, required: []string{"owner", "to"},
		answer: apiclient.DelegationList{},
	},
	"GET /v1/devices": {summary: "The configured devices.", answer: apiclient.DeviceList{}},
	"GET /v1/failures": {
		summary: "Printers at which jobs failed within the last 24 hours, those with most failures first, 500 of them at most.",
		answer:  apiclient.FailureList{},
	},
	"GET /v1/devices/{device}/link": {
		summary: "The link by which phones reach a device, as its sheet shows it.", answer: apiclient.DeviceLink{},
	},
	"POST /v1/devices/{device}/link": {
		summary: "Make a new link for a device: that of its old sheet is valid no longer.", body: apiclient.NoteBody{},
		answer: apiclient.DeviceLink{},
	},
	"GET /v1/decisions": {summary: "Decisions, oldest first.", query: []object{since, limit}, answer: apiclient.DecisionList{}},
	"GET /v1/dead":      {summary: "Tasks that were given up, and why.", query: []object{since, limit}, answer: apiclient.DeadList{}},
	"GET /v1/audit": {
		summary: "What was asked for through the API and the pages.", query: []object{since, limit}, answer: apiclient.ActionList{},
	},
	"GET /v1/diagnostics": {
		summary: "How the process is: build, readiness, streams, metrics, goroutines and the last lines of the log.",
		answer:  apiclient.Diagnostics{},
	},
	"GET /v1/quotas/{account}": {
		summary: "What is on an account by the policy in force.", answer: evaluate.AccountStatus{},
	},
	"PUT /v1/quotas/{account}": {
		summary: "Give an account a limit of its own for this period, or null for that of the policy.",
		body:    apiclient.QuotaBody{}, required: []string{"limit"}, answer: evaluate.AccountStatus{},
	},
	"POST /v1/quotas/{account}/adjust": {
		summary: "Give to an account in this period, or take from it.",
		body:    apiclient.AdjustBody{}, required: []string{"delta", "why"}, answer: evaluate.AccountStatus{},
	},
	"GET /v1/quotas/{account}/history": {
		summary: "What happened on an account, oldest first.", answer: apiclient.EntryList{},
		query: []object{parameter("since", "A time, or a duration back from now, as 24h; 31 days when not given.")},
	},
	"POST /v1/usage": {
		summary: "Tell the daemon a comparison with Graph's own usage report, for its metrics.",
		body:    sweep.UsageDay{}, answer: sweep.UsageDay{},
	},
	"POST /v1/backup": {
		summary: "A copy of everything that is stored, at one moment; see pullprint restore.",
		done:    "A file that ends early has no valid checksum.",
	},
	"GET /v1/people": {
		summary: "The user names of people by their object ids, as Entra tells them now; who is unknown, or not told within " +
			"a second, is missing.",
		query:  []object{parameter("ids", "1 to 48 Entra object ids, with commas between them.")},
		answer: apiclient.UserNames{},
	},
	"GET /v1/people/{user}":         {summary: "Whom a name stands for.", answer: apiclient.PersonFound{}},
	"POST /v1/people/{user}/export": {summary: "Everything that is known about a person.", answer: privacy.Person{}},
	"POST /v1/people/{user}/erase": {
		summary: "Erase a person. What was spent in the periods that run stays until they are over, unless told otherwise.",
		body:    privacy.Erasure{}, answer: privacy.Erased{},
	},
	"POST /v1/people/{user}/end-sessions": {
		summary: "End all sessions of a person who signed in with Entra, at every browser. The note is in the audit.",
		body:    apiclient.NoteBody{}, answer: apiclient.SessionsEnded{},
	},
}

// componentNames are the types that the file has once, by the names that generated clients know.
var componentNames = map[reflect.Type]string{
	reflect.TypeFor[apiclient.Problem]():        "Problem",
	reflect.TypeFor[release.Reason]():           "Reason",
	reflect.TypeFor[release.Released]():         "Released",
	reflect.TypeFor[release.Refused]():          "Refused",
	reflect.TypeFor[release.Outcome]():          "Outcome",
	reflect.TypeFor[apiclient.JobEntry]():       "JobEntry",
	reflect.TypeFor[apiclient.JobList]():        "JobList",
	reflect.TypeFor[decision.Answer]():          "Answer",
	reflect.TypeFor[decision.Input]():           "Input",
	reflect.TypeFor[decision.Decision]():        "Decision",
	reflect.TypeFor[job.Record]():               "Record",
	reflect.TypeFor[apiclient.Event]():          "Event",
	reflect.TypeFor[apiclient.JobDetail]():      "JobDetail",
	reflect.TypeFor[badge.Badge]():              "Badge",
	reflect.TypeFor[apiclient.BadgeList]():      "BadgeList",
	reflect.TypeFor[apiclient.CodeIssued]():     "CodeIssued",
	reflect.TypeFor[apiclient.Imported]():       "Imported",
	reflect.TypeFor[delegation.Delegation]():    "Delegation",
	reflect.TypeFor[apiclient.DelegationList](): "DelegationList",
	reflect.TypeFor[apiclient.DeviceList]():     "DeviceList",
	reflect.TypeFor[apiclient.DecisionList]():   "DecisionList",
	reflect.TypeFor[apiclient.DeadList]():       "DeadList",
	reflect.TypeFor[apiclient.ActionList]():     "ActionList",
	reflect.TypeFor[decision.Shadow]():          "Shadow",
	reflect.TypeFor[decision.Settings]():        "Settings",
	reflect.TypeFor[decision.Unknown]():         "Unknown",
	reflect.TypeFor[decision.Pages]():           "Pages",
	reflect.TypeFor[decision.Account]():         "Account",
	reflect.TypeFor[evaluate.Balance]():         "Balance",
	reflect.TypeFor[evaluate.AccountStatus]():   "Standing",
	reflect.TypeFor[quota.Entry]():              "LedgerEntry",
	reflect.TypeFor[apiclient.EntryList]():      "EntryList",
	reflect.TypeFor[sweep.UsageDay]():           "UsageDay",
	reflect.TypeFor[apiclient.Diagnostics]():    "Diagnosis",
	reflect.TypeFor[store.StreamState]():        "StreamState",
	reflect.TypeFor[privacy.Person]():           "Person",
	reflect.TypeFor[apiclient.PersonFound]():    "PersonFound",
	reflect.TypeFor[privacy.Erased]():           "Erased",
	reflect.TypeFor[job.Charge]():               "Charge",
	reflect.TypeFor[job.Paper]():                "Paper",
}

// alwaysThere are members that are omitted when they are empty, which they are not here.
var alwaysThere = map[string][]string{
	"JobEntry": {"printer", "job"}, "Record": {"printer", "job"},
	"Refused": {"printer", "job"}, "Released": {"printer", "job"},
}

var states = func() (list []string) {
	for _, s := range States {
		list = append(list, string(s))
	}
	return list
}()

// memberRules are what members have to be beyond their types.
var memberRules = map[string]object{
	"JobEntry.state": {"enum": states}, "Record.state": {"enum": states},
	"Decision.point":    {"enum": []string{"arrival", "release"}},
	"Decision.verdict":  {"enum": []string{"hold", "complete", "redirect", "keep", "abort"}},
	"Event.kind":        {"enum": []string{"created", "state", "decision", "action"}},
	"CancelBody.reason": {"maxLength": 300},
	"Paper.state":       {"enum": append([]paper.State{paper.Pending}, paper.Results...)},
}

const (
	idText      = "An id of Microsoft Graph."
	amountText  = "In pages, or units of the currency; exact to a millionth."
	accountText = "The Entra object id of a person, group.NAME or center.NAME."
	storedText  = "A record as it is stored."
	personText  = "Entra object id, or a user name that Entra knows; when the account was deleted there, one that is on the " +
		"badges of one person alone."
)

// pathTexts describe the parameters in paths.
var pathTexts = map[string]string{
	"printer": idText, "job": idText, "user": personText,
	"account": "The Entra object id or user name of a person, group.NAME or center.NAME.",
}

// texts describe members, by where they are or else by their names, and types.
var texts = map[string]string{
	"Charge.before": "The charge that this one takes the place of; it is in force again when this one comes to nothing.",
	"printer":       idText,
	"job":           idText,
	"task":          idText,
	"definition":    idText,
	"owner":         idText,
	"to":            idText,
	"printer_id":    idText,
	"account":       accountText,
	"key":           accountText,
	"queues":        "The names of the queues whose jobs are told of, by the printer that a job is named with.",
	"asked": "What asked for the decision: arrival, badge, badge-token, pin, pin-token, station, token, sign-in, phone, " +
		"remote, erasure or sweep; absent when stored by a version that did not say.",
	"Problem":                  "RFC 9457",
	"Problem.type":             "urn:pullprint:problem: and the kind of problem",
	"Problem.detail":           "What is wrong with this request, and what to do next.",
	"Reason.code":              "A stable reason code.",
	"Reason.ipp":               "The keyword for job-state-reasons of IPP that comes nearest.",
	"Released.destination":     "The printer of the device.",
	"Released.destination_job": "The job there, when Graph told.",
	"Refused.pending":          "The job will be canceled as soon as Graph answers.",
	"Outcome.owner": "Entra object id; empty when no job was found, the badge is unknown, or it is not " +
		"valid any more.",
	"JobList.next": "The cursor of the next page.",
	"Answer.presumed": "Graph knew nothing of the job any more: the effect may have happened, and counts as " +
		"if it had.",
	"Input.groups_age":    "In seconds, when the directory did not answer.",
	"Input.ranges[].to":   "",
	"Decision.policy":     "The hash of the policy that decided.",
	"Decision.accounts[]": accountText,
	"Record.release.late": "The job was found redirected although it ended otherwise: it is gone for its " +
		"record, and paid for.",
	"Record.tries": "The newest redirects that were called for, oldest first: each may have been made, " +
		"whatever Graph answered.",
	"Record.tries[].id":    "The id of its decision.",
	"Record.tries[].asked": "",
	"Record.came":          "How often the job was found waiting after its record had come to an end.",
	"Event.accounts[]":     accountText,
	"Paper": "What became of a job at its printer, once it was let go on; missing where a version did that which did not " +
		"follow jobs.",
	"Paper.state": "pending: not ended yet. failed: the printer or Universal Print gave it up. canceled: at the printer. " +
		"unknown: Universal Print does not know the job any more, or it had not ended after a day.",
	"Paper.at":         "When the end was seen, by a look once a minute; of a pending job, when it was let go on.",
	"Paper.detail":     "The printer's word for it.",
	"Badge.id":         "Names the badge; its number is nowhere.",
	"Badge.warning":    "What is odd about the number of a badge that was enrolled just now.",
	"BadgeList.next":   "The cursor of the next page.",
	"Imported.skipped": "How many rows are wrong and were left out.",
	"Imported.revoked": "How many rows are of badges that were revoked and stay so.",
	"Imported.left":    "The rows that were not enrolled, the first thousand, and why.",
	"Imported.dates_in": "The time zone in which badges end with their last day, when a row has a date " +
		"alone in expires.",
	"Imported.warnings": "Rows that were enrolled although no card has such a number.",
	"Delegation.damaged": "Its record can't be read: it lets nobody do anything, and " +
		"is there to be removed.",
	"DeviceList.devices[].queues":          "",
	"DecisionList.next":                    "The since of the next page.",
	"Shadow":                               "What a policy in shadow would have decided.",
	"Shadow.policy":                        "The hash of the policy in shadow.",
	"Settings":                             "What rules rewrote, in the words of Graph's printJobConfiguration.",
	"Unknown.dependency":                   "directory, quota, device or pages: what was out of reach.",
	"Unknown.mode":                         "hold, allow or abort: what was done for want of it.",
	"Pages.unknown":                        "Why the pages could not be counted.",
	"Standing.stored.reservations[].job":   "",
	"Standing.stored.reservations[].for":   "what the try is to do",
	"Standing.stored.reservations[].owner": "",
	"Standing.known":                       "The shared accounts that allowances are for, when none is for this one.",
	"Standing.no_user": "Entra knows no user with this object id: it is mistyped, or " +
		"the account was deleted.",
	"LedgerEntry.kind":    "reserve, settle, refund, void, set or adjust.",
	"LedgerEntry.job":     "",
	"LedgerEntry.owner":   "",
	"LedgerEntry.default": "True of a set that gave the account the limit of the policy again.",
	"LedgerEntry.was": "Where the entry first was in the history, if a person was " +
		"erased from it since.",
	"EntryList.complete":    "False when there are more than could be read.",
	"UsageDay.date":         "A day in UTC, as 2026-03-10.",
	"Diagnosis.wrong":       "What could not be found out.",
	"Diagnosis.metrics":     "What /metrics says.",
	"Diagnosis.lines":       "The last lines of the log, each in JSON.",
	"Diagnosis.dropped":     "How many lines came before and are not kept.",
	"StreamState.max_bytes": "-1 without a limit.",
	"StreamState.away":      "Copies that are offline or behind.",
	"PersonFound.user":      "The Entra object id.",
	"Erased.owner":          "Who it was, by Entra object id.",
	"Erased.rewritten":      "Records of others that do not tell of the person any more.",
	"TapBody.badge":         "What the reader told; either this or user.",
	"TapBody.user":          "A user name or an employeeId that was typed, at devices that take a PIN alone.",
	"TapBody.pin":           "The PIN that was typed, where the device asks for one.",
	"CancelBody.reason":     "Told to the owner.",
	"EnrolBody.replace":     "Take it away from whoever has it.",
	"CodeBody.valid_for":    "A duration, as 24h.",
	"ReleaseBody.note":      "Why, for the audit.",
	"RevokeBody.note":       "Why, for the audit.",
	"QuotaBody.limit":       "In units.",
	"Erasure.cancel_held":   "Abort the jobs that wait.",
	"Erasure.forget_budget": "Also forget what was spent in the periods that run.",
}
