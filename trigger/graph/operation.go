package graph

import (
	"net/http"
)

// operation is a request that this package makes, to Graph or (signIn) to the authority.
type operation int

const (
	signIn operation = iota
	listDefinitions
	createDefinition
	listTasks
	getTask
	finishTask
	getJob
	listJobs
	abortJob
	redirectJob
	updateJob
	getPrinter
	listGroups
	checkGroups
	findUser
	getUser
	getDocument
	readDocument
	listTriggers
	createTrigger
	deleteTrigger
	deleteDefinition
	listPrinters
	createPrinter
	getOperation
	getAttributes
	setAttributes
	deletePrinter
	listShares
	createShare
	openShare
	listAllowed
	allowGroup
	deleteShare
	listUsage
	createJob
	createUpload
	uploadDocument
	startJob
	cancelJob
	sendMail
	sendActivity
	findTeamsApp
	listSubscriptions
	getSubscription
	createSubscription
	renewSubscription
	reauthorizeSubscription
	deleteSubscription
	operations
)

// table has for each operation its name in metrics and errors, its method, the status of
// success, whether doing it twice has the same result as once, and its path with its query,
// where {} stands for an id. An operation without a path has an address of its own.
var table = [operations]struct {
	name, method string
	ok           int
	repeatable   bool
	path         string
}{
	signIn:           {"sign_in", http.MethodPost, 200, true, ""},
	listDefinitions:  {"list_definitions", http.MethodGet, 200, true, "/print/taskDefinitions"},
	createDefinition: {"create_definition", http.MethodPost, 201, false, "/print/taskDefinitions"},
	listTasks:        {"list_tasks", http.MethodGet, 200, true, "/print/taskDefinitions/{}/tasks"},
	getTask:          {"get_task", http.MethodGet, 200, true, "/print/taskDefinitions/{}/tasks/{}"},
	finishTask:       {"finish_task", http.MethodPatch, 200, false, "/print/taskDefinitions/{}/tasks/{}"},
	listJobs:         {"list_jobs", http.MethodGet, 200, true, "/print/printers/{}/jobs?$expand=tasks"},
	getJob:           {"get_job", http.MethodGet, 200, true, "/print/printers/{}/jobs/{}?$expand=tasks,documents"},
	abortJob:         {"abort_job", http.MethodPost, 204, false, "/print/printers/{}/jobs/{}/abort"},
	redirectJob:      {"redirect_job", http.MethodPost, 200, false, "/print/printers/{}/jobs/{}/redirect"},
	updateJob:        {"update_job", http.MethodPatch, 200, false, "/print/printers/{}/jobs/{}"},
	getPrinter: {
		"get_printer", http.MethodGet, 200, true,
		"/print/printers/{}?$select=id,displayName,isAcceptingJobs,lastSeenDateTime,status,capabilities",
	},
	listGroups: {
		"list_groups", http.MethodGet, 200, true,
		"/users/{}/transitiveMemberOf/microsoft.graph.group?$select=id,displayName&$count=true&$top=999",
	},
	checkGroups:      {"check_member_groups", http.MethodPost, 200, true, "/users/{}/checkMemberGroups"},
	findUser:         {"find_user", http.MethodGet, 200, true, "/users"},
	getUser:          {"get_user", http.MethodGet, 200, true, "/users/{}"},
	getDocument:      {"get_document", http.MethodGet, 302, true, "/print/printers/{}/jobs/{}/documents/{}/$value"},
	readDocument:     {"read_document", http.MethodGet, 206, true, ""},
	listTriggers:     {"list_triggers", http.MethodGet, 200, true, "/print/printers/{}/taskTriggers?$expand=definition"},
	createTrigger:    {"create_trigger", http.MethodPost, 201, false, "/print/printers/{}/taskTriggers"},
	deleteTrigger:    {"delete_trigger", http.MethodDelete, 204, true, "/print/printers/{}/taskTriggers/{}"},
	deleteDefinition: {"delete_definition", http.MethodDelete, 204, true, "/print/taskDefinitions/{}"},
	listPrinters:     {"list_printers", http.MethodGet, 200, true, "/print/printers"},
	createPrinter:    {"create_printer", http.MethodPost, 202, false, "/print/printers/create"},
	getOperation:     {"get_operation", http.MethodGet, 200, true, "/print/operations/{}"},
	getAttributes: {
		"get_attributes", http.MethodGet, 200, true,
		"/print/printers/{}?$select=id,displayName,manufacturer,model,hasPhysicalDevice,isAcceptingJobs,defaults," +
			"capabilities",
	},
	setAttributes: {"set_attributes", http.MethodPatch, 200, true, "/print/printers/{}"},
	deletePrinter: {"delete_printer", http.MethodDelete, 204, true, "/print/printers/{}"},
	listShares:    {"list_shares", http.MethodGet, 200, true, "/print/printers/{}/shares"},
	createShare:   {"create_share", http.MethodPost, 201, false, "/print/shares"},
	openShare:     {"open_share", http.MethodPatch, 200, true, "/print/shares/{}"},
	listAllowed:   {"list_allowed_groups", http.MethodGet, 200, true, "/print/shares/{}/allowedGroups"},
	allowGroup:    {"allow_group", http.MethodPost, 204, false, "/print/shares/{}/allowedGroups/$ref"},
	deleteShare:   {"delete_share", http.MethodDelete, 204, true, "/print/shares/{}"},
	listUsage:     {"list_usage", http.MethodGet, 200, true, "/reports/dailyPrintUsageByUser"},
	createJob:     {"create_job", http.MethodPost, 201, true, "/print/printers/{}/jobs"},
	createUpload: {
		"create_upload", http.MethodPost, 200, true, "/print/printers/{}/jobs/{}/documents/{}/createUploadSession",
	},
	uploadDocument: {"upload_document", http.MethodPut, 201, false, ""},
	startJob:       {"start_job", http.MethodPost, 200, false, "/print/printers/{}/jobs/{}/start"},
	cancelJob:      {"cancel_job", http.MethodPost, 204, true, "/print/printers/{}/jobs/{}/cancel"},
	// Twice is two messages.
	sendMail: {"send_mail", http.MethodPost, 202, false, "/users"},
	// Twice is one entry of the feed, as the second has the same chain: it takes the place of the first.
	sendActivity:            {"send_activity", http.MethodPost, 204, true, "/users/{}/teamwork/sendActivityNotification"},
	findTeamsApp:            {"find_teams_app", http.MethodGet, 200, true, "/appCatalogs/teamsApps"},
	listSubscriptions:       {"list_subscriptions", http.MethodGet, 200, true, "/subscriptions"},
	getSubscription:         {"get_subscription", http.MethodGet, 200, true, "/subscriptions/{}"},
	createSubscription:      {"create_subscription", http.MethodPost, 201, false, "/subscriptions"},
	renewSubscription:       {"renew_subscription", http.MethodPatch, 200, false, "/subscriptions/{}"},
	reauthorizeSubscription: {"reauthorize_subscription", http.MethodPost, 204, true, "/subscriptions/{}/reauthorize"},
	deleteSubscription:      {"delete_subscription", http.MethodDelete, 204, true, "/subscriptions/{}"},
}

func (op operation) name() string     { return table[op].name }
func (op operation) method() string   { return table[op].method }
func (op operation) repeatable() bool { return table[op].repeatable }
func (op operation) write() bool      { return table[op].method != http.MethodGet }
