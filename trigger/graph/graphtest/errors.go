package graphtest

import (
	"net/http"
	"time"
)

// reply is the outcome of an operation before it is sent; it may still be lost.
type reply struct {
	status int
	header http.Header
	body   any    // marshalled as JSON; nil = no body
	text   string // instead of body
}

type errorBody struct {
	Error graphError `json:"error"`
}

type graphError struct {
	Code       string     `json:"code"`
	Message    string     `json:"message"`
	InnerError innerError `json:"innerError"`
}

type innerError struct {
	Code            string `json:"code,omitempty"`
	Date            string `json:"date"`
	RequestID       string `json:"request-id"`
	ClientRequestID string `json:"client-request-id"`
}

func (c *call) fail(status int, code, message string) reply {
	echo := c.ClientRequestID
	if echo == "" {
		echo = c.requestID
	}
	return reply{status: status, body: errorBody{graphError{code, message, innerError{
		Code: code, Date: time.Now().UTC().Format("2006-01-02T15:04:05"), RequestID: c.requestID, ClientRequestID: echo,
	}}}}
}

// failWith answers with a status and the usual error for it.
func (c *call) failWith(status int) reply {
	switch status {
	case 400:
		return c.fail(status, "BadRequest", "The request is invalid.")
	case 401:
		return c.fail(status, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
	case 403:
		return c.fail(status, "Forbidden", "The operation is not allowed in the current state.")
	case 404:
		return c.notFound()
	case 409:
		return c.fail(status, "Conflict", "The operation conflicts with the state of the resource.")
	case 410:
		return c.fail(status, "Gone", "The resource is no longer available.")
	case 429:
		return c.fail(status, "TooManyRequests", "Too many requests.")
	case 503:
		return c.fail(status, "ServiceUnavailable", "The service is temporarily unavailable.")
	case 504:
		return c.fail(status, "GatewayTimeout", "The server did not answer in time.")
	}
	return c.fail(status, "UnknownError", "")
}

func (c *call) badRequest(message string) reply { return c.fail(400, "BadRequest", message) }

func (c *call) notFound() reply {
	return c.fail(404, "NotFound", "The requested resource does not exist.")
}
