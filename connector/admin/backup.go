package admin

import (
	"errors"
	"io"
	"net/http"
	"time"

	"pullprint/connector/admin/apiclient"

	"go.uber.org/zap"
)

// file is an answer that is written while it is sent.
type file func(w io.Writer) error

// backup answers with a copy of everything that is stored.
func (a *API) backup(r *request) (any, error) {
	if err := r.nothing(); err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), apiclient.Action{}); err != nil {
		return nil, err
	}
	return file(func(w io.Writer) error {
		_, err := a.Backup(r.Context(), w)
		return err
	}), nil
}

// send sends a file. When writing it fails, the connection is aborted, so that no client
// takes a part for the whole.
func (a *API) send(rw http.ResponseWriter, f file) {
	rw.Header().Set("Content-Type", "application/octet-stream")
	if err := http.NewResponseController(rw).SetWriteDeadline(time.Now().Add(apiclient.BackupTimeout)); err != nil &&
		!errors.Is(err, http.ErrNotSupported) {
		a.log.Debug("deadline not set", zap.Error(err))
	}
	if err := f(rw); err != nil {
		a.log.Warn("file not sent", zap.Error(err))
		panic(http.ErrAbortHandler)
	}
}
