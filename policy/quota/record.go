package quota

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrDamaged says that what is stored of an account can't be read.
var ErrDamaged = errors.New("what is stored of the account can't be read")

// Decode reads what is stored of an account. The error is an ErrDamaged: an account that
// was taken for one without its parts would be an unspent one.
func Decode(value []byte) (*State, error) {
	s := new(State)
	if err := json.Unmarshal(value, s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	damaged := s.Seq == 0 // each change counts it up
	for job, r := range s.Reservations {
		damaged = damaged || r == nil || r.Job != job
	}
	for _, b := range s.Buckets {
		damaged = damaged || b == nil
	}
	if damaged {
		return nil, fmt.Errorf("%w: parts of it are missing", ErrDamaged)
	}
	return s, nil
}
