package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// backupWithin bounds the sending of a backup: 30 GB at 16 MB/s.
const backupWithin = 30 * time.Minute

// file is an answer that is written while it is sent.
type file func(w io.Writer) error

// backup answers with a copy of everything that is stored.
func (a *API) backup(r *request) (any, error) {
	if err := r.nothing(); err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), Action{}); err != nil {
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
	if err := http.NewResponseController(rw).SetWriteDeadline(time.Now().Add(backupWithin)); err != nil &&
		!errors.Is(err, http.ErrNotSupported) {
		a.log.Debug("deadline not set", zap.Error(err))
	}
	if err := f(rw); err != nil {
		a.log.Warn("file not sent", zap.Error(err))
		panic(http.ErrAbortHandler)
	}
}

// Backup has the daemon write a copy of everything that it has stored to w. Reading it
// shows whether it is complete: see backup.Verify.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, backupWithin)
	defer cancel()
	req, err := c.newRequest(ctx, http.MethodPost, "/v1/backup", nil)
	if err != nil {
		return err
	}
	res, err := c.withTimeout(0).http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		answer, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
		if err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		return refusal(res, answer)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("read the backup from the daemon: %w; its log says why", err)
	}
	return nil
}
