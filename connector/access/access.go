// Package access finds out who is asking and what they may do: by bearer tokens from files, by
// browser sessions that a token has begun, and by those of people who signed in with Entra.
//
// A token and its sessions end at most five seconds after the token is removed from its file. A
// session of a person ends when they sign out anywhere, and a role or an account that is taken
// away in Entra ends what they may do after 15 minutes at most. No token of a person is stored,
// nor their name.
package access

// Role says what a token or a person may do. Each role may do all that the one before may.
type Role string

// The roles.
const (
	// RoleRead sees jobs, decisions and badges.
	RoleRead Role = "read"
	// RoleOperate releases and cancels jobs, taps at any device, and enrols and
	// revokes badges.
	RoleOperate Role = "operate"
	// RoleAdmin may do everything.
	RoleAdmin Role = "admin"
)

// AdminName is what the audit calls the holder of the token in admin.token_file.
const AdminName = "admin"

// ranks orders the roles; what is none of them is 0.
var ranks = map[Role]int{RoleRead: 1, RoleOperate: 2, RoleAdmin: 3}

// Caller is who asks.
type Caller struct {
	// Name is the token's, for the audit; of a reader, its device; of a person, Person.
	Name string
	// Role is empty for a reader, and for a person who has none.
	Role Role
	// Person is the Entra object id of who signed in; empty for a token.
	Person string
	// Device is the only device at which a reader may show badges.
	Device string
}

// May reports whether a caller's role reaches need.
func (c Caller) May(need Role) bool { return c.Role != "" && ranks[c.Role] >= ranks[need] }

// MayTapAt reports whether a caller may show badges at a device: its own reader may, and
// whoever may operate.
func (c Caller) MayTapAt(device string) bool {
	if c.Device != "" {
		return c.Device == device
	}
	return c.May(RoleOperate)
}
