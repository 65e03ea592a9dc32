package graphtest

// Names of the operations, as [Sim.Calls] counts and [Knobs.Intercept] sees them.
const (
	OpToken            = "token"
	OpDeviceCode       = "devicecode"
	OpDiscovery        = "openid.discovery"
	OpKeys             = "openid.keys"
	OpAuthorize        = "openid.authorize"
	OpLogout           = "openid.logout"
	OpDefinitionList   = "taskDefinitions.list"
	OpDefinitionCreate = "taskDefinitions.create"
	OpDefinitionGet    = "taskDefinitions.get"
	OpDefinitionUpdate = "taskDefinitions.update"
	OpDefinitionDelete = "taskDefinitions.delete"
	OpTaskList         = "tasks.list"
	OpTaskGet          = "tasks.get"
	OpTaskUpdate       = "tasks.update"
	OpPrinterList      = "printers.list"
	OpPrinterGet       = "printers.get"
	OpPrinterCreate    = "printers.create"
	OpPrinterUpdate    = "printers.update"
	OpPrinterDelete    = "printers.delete"
	OpOperationGet     = "operations.get"
	OpShareList        = "shares.list"
	OpShareCreate      = "shares.create"
	OpShareGet         = "shares.get"
	OpShareUpdate      = "shares.update"
	OpShareDelete      = "shares.delete"
	OpAllowedList      = "allowedGroups.list"
	OpGroupAllow       = "allowedGroups.add"
	OpTriggerList      = "taskTriggers.list"
	OpTriggerGet       = "taskTriggers.get"
	OpTriggerCreate    = "taskTriggers.create"
	OpTriggerDelete    = "taskTriggers.delete"
	OpJobList          = "jobs.list"
	OpJobCreate        = "jobs.create"
	OpJobStart         = "jobs.start"
	OpUploadCreate     = "documents.createUploadSession"
	OpJobGet           = "jobs.get"
	OpJobUpdate        = "jobs.update"
	OpJobAbort         = "jobs.abort"
	OpJobRedirect      = "jobs.redirect"
	OpJobCancel        = "jobs.cancel"
	OpDocumentGet      = "documents.get"
	OpDocumentValue    = "documents.value"
	OpDownload         = "documents.download"
	OpGroups           = "users.groups"
	OpMemberGroups     = "users.checkMemberGroups"
	OpUserList         = "users.list"
	OpUserGet          = "users.get"
	OpSendMail         = "users.sendMail"
	OpSendActivity     = "users.sendActivityNotification"
	OpTeamsAppList     = "teamsApps.list"
	OpSubscriptionList = "subscriptions.list"
	OpSubscribe        = "subscriptions.create"
	OpSubscriptionGet  = "subscriptions.get"
	OpRenew            = "subscriptions.update"
	OpReauthorize      = "subscriptions.reauthorize"
	OpUnsubscribe      = "subscriptions.delete"
	OpBatch            = "batch"
	OpUsage            = "reports.dailyPrintUsageByUser"
)

// delegation says which people may call an operation with a delegated token.
type delegation int

const (
	nobody delegation = iota
	anybody
	administrator
)

// operation is one operation of the Graph reference: who may call it, whether it is a write, and what it does.
type operation struct {
	name      string
	write     bool
	roles     []string // application permissions, any of which suffices; nil = no app token
	delegated delegation
	do        func(*Sim, *call) reply
}

// Roles are the application permissions an [App] gets when it names none: all that print management needs.
func Roles() []string {
	return []string{
		"PrintTaskDefinition.ReadWrite.All", "PrintJob.ReadBasic.All", "PrintJob.Read.All", "PrintJob.ReadWriteBasic.All",
		"PrintJob.Manage.All", "Printer.Read.All", "Printer.ReadWrite.All", "GroupMember.Read.All", "User.ReadBasic.All",
		"User.Read.All", "Mail.Send",
	}
}

var (
	definitionRoles = []string{"PrintTaskDefinition.ReadWrite.All"}
	jobReadRoles    = []string{
		"PrintJob.ReadBasic.All", "PrintJob.Read.All", "PrintJob.ReadWriteBasic.All", "PrintJob.ReadWrite.All",
		"PrintJob.Manage.All",
	}
	jobWriteRoles  = []string{"PrintJob.ReadWriteBasic.All", "PrintJob.ReadWrite.All", "PrintJob.Manage.All"}
	redirectRoles  = []string{"PrintJob.Manage.All"}
	payloadRoles   = []string{"PrintJob.Read.All", "PrintJob.ReadWrite.All"}
	printerRoles   = []string{"Printer.Read.All", "Printer.ReadWrite.All"}
	updateRoles    = []string{"Printer.ReadWrite.All"}
	groupRoles     = []string{"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"}
	userRoles      = []string{"User.Read.All", "Directory.Read.All"}
	basicUserRoles = []string{"User.ReadBasic.All", "User.Read.All", "Directory.Read.All"}
	activityRoles  = []string{"TeamsActivity.Send"}
	catalogRoles   = []string{"AppCatalog.Read.All", "AppCatalog.ReadWrite.All"}
)

var (
	opDefinitionList   = &operation{OpDefinitionList, false, definitionRoles, nobody, (*Sim).listDefinitions}
	opDefinitionCreate = &operation{OpDefinitionCreate, true, definitionRoles, nobody, (*Sim).createDefinition}
	opDefinitionGet    = &operation{OpDefinitionGet, false, definitionRoles, nobody, (*Sim).getDefinition}
	opDefinitionUpdate = &operation{OpDefinitionUpdate, true, definitionRoles, nobody, (*Sim).updateDefinition}
	opDefinitionDelete = &operation{OpDefinitionDelete, true, definitionRoles, nobody, (*Sim).deleteDefinition}
	opTaskList         = &operation{OpTaskList, false, definitionRoles, nobody, (*Sim).listTasks}
	opTaskGet          = &operation{OpTaskGet, false, definitionRoles, nobody, (*Sim).getTask}
	opTaskUpdate       = &operation{OpTaskUpdate, true, definitionRoles, nobody, (*Sim).updateTask}
	opPrinterList      = &operation{OpPrinterList, false, printerRoles, anybody, (*Sim).listPrinters}
	opPrinterGet       = &operation{OpPrinterGet, false, printerRoles, anybody, (*Sim).getPrinter}
	opPrinterCreate    = &operation{OpPrinterCreate, true, nil, administrator, (*Sim).createPrinter}
	opPrinterUpdate    = &operation{OpPrinterUpdate, true, updateRoles, administrator, (*Sim).updatePrinter}
	opPrinterDelete    = &operation{OpPrinterDelete, true, nil, administrator, (*Sim).deletePrinter}
	opOperationGet     = &operation{OpOperationGet, false, nil, administrator, (*Sim).getOperation}
	opShareList        = &operation{OpShareList, false, nil, administrator, (*Sim).listShares}
	opShareCreate      = &operation{OpShareCreate, true, nil, administrator, (*Sim).createShare}
	opShareGet         = &operation{OpShareGet, false, nil, anybody, (*Sim).getShare}
	opShareUpdate      = &operation{OpShareUpdate, true, nil, administrator, (*Sim).updateShare}
	opShareDelete      = &operation{OpShareDelete, true, nil, administrator, (*Sim).deleteShare}
	opAllowedList      = &operation{OpAllowedList, false, nil, administrator, (*Sim).listAllowed}
	opGroupAllow       = &operation{OpGroupAllow, true, nil, administrator, (*Sim).allowGroup}
	opTriggerList      = &operation{OpTriggerList, false, nil, administrator, (*Sim).listTriggers}
	opTriggerGet       = &operation{OpTriggerGet, false, nil, administrator, (*Sim).getTrigger}
	opTriggerCreate    = &operation{OpTriggerCreate, true, nil, administrator, (*Sim).createTrigger}
	opTriggerDelete    = &operation{OpTriggerDelete, true, nil, administrator, (*Sim).deleteTrigger}
	opJobList          = &operation{OpJobList, false, jobReadRoles, administrator, (*Sim).listJobs}
	opJobGet           = &operation{OpJobGet, false, jobReadRoles, administrator, (*Sim).getJob}
	opJobCreate        = &operation{OpJobCreate, true, nil, anybody, (*Sim).createJob}
	opJobStart         = &operation{OpJobStart, true, nil, anybody, (*Sim).startJob}
	opUploadCreate     = &operation{OpUploadCreate, true, nil, anybody, (*Sim).createUpload}
	opJobUpdate        = &operation{OpJobUpdate, true, jobWriteRoles, nobody, (*Sim).updateJob}
	opJobAbort         = &operation{OpJobAbort, true, jobWriteRoles, nobody, (*Sim).abortJob}
	opJobRedirect      = &operation{OpJobRedirect, true, redirectRoles, nobody, (*Sim).redirectJob}
	opJobCancel        = &operation{OpJobCancel, true, nil, anybody, (*Sim).cancelJob}
	opDocumentGet      = &operation{OpDocumentGet, false, jobReadRoles, administrator, (*Sim).getDocument}
	opDocumentValue    = &operation{OpDocumentValue, false, payloadRoles, nobody, (*Sim).getDocumentValue}
	opGroups           = &operation{OpGroups, false, groupRoles, anybody, (*Sim).listGroups}
	opMemberGroups     = &operation{OpMemberGroups, false, groupRoles, anybody, (*Sim).checkMemberGroups}
	opUserList         = &operation{OpUserList, false, userRoles, administrator, (*Sim).listUsers}
	opUserGet          = &operation{OpUserGet, false, basicUserRoles, anybody, (*Sim).getUser}
	opSendMail         = &operation{OpSendMail, true, []string{"Mail.Send"}, nobody, (*Sim).sendMail}
	opSendActivity     = &operation{OpSendActivity, true, activityRoles, nobody, (*Sim).sendActivity}
	opTeamsAppList     = &operation{OpTeamsAppList, false, catalogRoles, nobody, (*Sim).listTeamsApps}
	opUsage            = &operation{OpUsage, false, nil, administrator, (*Sim).listUsage} // no app may
	opSubscriptionList = &operation{OpSubscriptionList, false, definitionRoles, nobody, (*Sim).listSubscriptions}
	opSubscribe        = &operation{OpSubscribe, true, definitionRoles, nobody, (*Sim).createSubscription}
	opSubscriptionGet  = &operation{OpSubscriptionGet, false, definitionRoles, nobody, (*Sim).getSubscription}
	opRenew            = &operation{OpRenew, true, definitionRoles, nobody, (*Sim).updateSubscription}
	opReauthorize      = &operation{OpReauthorize, true, definitionRoles, nobody, (*Sim).reauthorizeSubscription}
	opUnsubscribe      = &operation{OpUnsubscribe, true, definitionRoles, nobody, (*Sim).deleteSubscription}
)

// route finds the operation of a path below /v1.0 and puts its ids into r; nil if Graph has no such path.
func route(method string, seg []string, r *Request) *operation {
	if len(seg) == 0 {
		return nil
	}
	switch {
	case seg[0] == "print" && len(seg) >= 2 && seg[1] == "taskDefinitions":
		return routeDefinitions(method, seg[2:], r)
	case seg[0] == "print" && len(seg) >= 2 && seg[1] == "printers":
		return routePrinters(method, seg[2:], r)
	case seg[0] == "print" && len(seg) == 3 && seg[1] == "operations":
		r.Operation = seg[2]
		return byMethod(method, opOperationGet, nil, nil, nil)
	case seg[0] == "print" && len(seg) >= 2 && seg[1] == "shares":
		return routeShares(method, seg[2:], r)
	case seg[0] == "subscriptions":
		return routeSubscriptions(method, seg[1:], r)
	case seg[0] == "reports" && len(seg) == 2 && seg[1] == "dailyPrintUsageByUser":
		return byMethod(method, opUsage, nil, nil, nil)
	case seg[0] == "appCatalogs" && len(seg) == 2 && seg[1] == "teamsApps":
		return byMethod(method, opTeamsAppList, nil, nil, nil)
	case seg[0] == "users":
		return routeUsers(method, seg[1:], r)
	}
	return nil
}

func routeDefinitions(method string, seg []string, r *Request) *operation {
	if len(seg) > 0 {
		r.Definition = seg[0]
	}
	if len(seg) > 2 {
		r.Task = seg[2]
	}
	switch {
	case len(seg) == 0:
		return byMethod(method, opDefinitionList, opDefinitionCreate, nil, nil)
	case len(seg) == 1:
		return byMethod(method, opDefinitionGet, nil, opDefinitionUpdate, opDefinitionDelete)
	case len(seg) == 2 && seg[1] == "tasks":
		return byMethod(method, opTaskList, nil, nil, nil)
	case len(seg) == 3 && seg[1] == "tasks":
		return byMethod(method, opTaskGet, nil, opTaskUpdate, nil)
	}
	return nil
}

func routePrinters(method string, seg []string, r *Request) *operation {
	if len(seg) > 0 {
		r.Printer = seg[0]
	}
	switch {
	case len(seg) == 0:
		return byMethod(method, opPrinterList, nil, nil, nil)
	case len(seg) == 1 && trimNamespace(seg[0]) == "create":
		r.Printer = ""
		return byMethod(method, nil, opPrinterCreate, nil, nil)
	case len(seg) == 1:
		return byMethod(method, opPrinterGet, nil, opPrinterUpdate, opPrinterDelete)
	case seg[1] == "shares" && len(seg) == 2:
		return byMethod(method, opShareList, nil, nil, nil)
	case seg[1] == "jobs":
		return routeJobs(method, seg[2:], r)
	case seg[1] == "taskTriggers" && len(seg) == 2:
		return byMethod(method, opTriggerList, opTriggerCreate, nil, nil)
	case seg[1] == "taskTriggers" && len(seg) == 3:
		r.Trigger = seg[2]
		return byMethod(method, opTriggerGet, nil, nil, opTriggerDelete)
	}
	return nil
}

func routeShares(method string, seg []string, r *Request) *operation {
	if len(seg) > 0 {
		r.Share = seg[0]
	}
	switch {
	case len(seg) == 0:
		return byMethod(method, nil, opShareCreate, nil, nil)
	case len(seg) == 1:
		return byMethod(method, opShareGet, nil, opShareUpdate, opShareDelete)
	case len(seg) == 2 && seg[1] == "allowedGroups":
		return byMethod(method, opAllowedList, nil, nil, nil)
	case len(seg) == 3 && seg[1] == "allowedGroups" && seg[2] == "$ref":
		return byMethod(method, nil, opGroupAllow, nil, nil)
	}
	return nil
}

func routeJobs(method string, seg []string, r *Request) *operation {
	if len(seg) > 0 {
		r.Job = seg[0]
	}
	switch {
	case len(seg) == 0:
		return byMethod(method, opJobList, opJobCreate, nil, nil)
	case len(seg) == 1:
		return byMethod(method, opJobGet, nil, opJobUpdate, nil)
	case len(seg) == 2:
		switch trimNamespace(seg[1]) {
		case "abort":
			return byMethod(method, nil, opJobAbort, nil, nil)
		case "redirect":
			return byMethod(method, nil, opJobRedirect, nil, nil)
		case "start":
			return byMethod(method, nil, opJobStart, nil, nil)
		case "cancel":
			return byMethod(method, nil, opJobCancel, nil, nil)
		}
	case seg[1] == "documents" && len(seg) == 3:
		r.Document = seg[2]
		return byMethod(method, opDocumentGet, nil, nil, nil)
	case seg[1] == "documents" && len(seg) == 4 && trimNamespace(seg[3]) == "createUploadSession":
		r.Document = seg[2]
		return byMethod(method, nil, opUploadCreate, nil, nil)
	case seg[1] == "documents" && len(seg) == 4 && seg[3] == "$value":
		r.Document = seg[2]
		return byMethod(method, opDocumentValue, nil, nil, nil)
	}
	return nil
}

func routeSubscriptions(method string, seg []string, r *Request) *operation {
	if len(seg) > 0 {
		r.Subscription = seg[0]
	}
	switch {
	case len(seg) == 0:
		return byMethod(method, opSubscriptionList, opSubscribe, nil, nil)
	case len(seg) == 1:
		return byMethod(method, opSubscriptionGet, nil, opRenew, opUnsubscribe)
	case len(seg) == 2 && seg[1] == "reauthorize":
		return byMethod(method, nil, opReauthorize, nil, nil)
	}
	return nil
}

func routeUsers(method string, seg []string, r *Request) *operation {
	if len(seg) > 0 {
		r.User = seg[0]
	}
	switch {
	case len(seg) == 0:
		return byMethod(method, opUserList, nil, nil, nil)
	case len(seg) == 1:
		return byMethod(method, opUserGet, nil, nil, nil)
	case len(seg) == 3 && seg[1] == "transitiveMemberOf" && seg[2] == "microsoft.graph.group":
		return byMethod(method, opGroups, nil, nil, nil)
	case len(seg) == 2 && trimNamespace(seg[1]) == "checkMemberGroups":
		return byMethod(method, nil, opMemberGroups, nil, nil)
	case len(seg) == 2 && trimNamespace(seg[1]) == "sendMail":
		return byMethod(method, nil, opSendMail, nil, nil)
	case len(seg) == 3 && seg[1] == "teamwork" && trimNamespace(seg[2]) == "sendActivityNotification":
		return byMethod(method, nil, opSendActivity, nil, nil)
	}
	return nil
}

func byMethod(method string, get, post, patch, del *operation) *operation {
	switch method {
	case "GET":
		return get
	case "POST":
		return post
	case "PATCH":
		return patch
	case "DELETE":
		return del
	}
	return nil
}

// trimNamespace allows calling an action by its qualified name, as OData does.
func trimNamespace(action string) string {
	const ns = "microsoft.graph."
	if len(action) > len(ns) && action[:len(ns)] == ns {
		return action[len(ns):]
	}
	return action
}
