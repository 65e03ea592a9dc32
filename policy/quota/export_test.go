package quota

// NewState is an account as it is stored.
func NewState() any { return new(state) }
