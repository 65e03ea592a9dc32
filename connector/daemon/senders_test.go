package daemon_test

import (
	"slices"
	"testing"

	"pullprint/connector/config"
	"pullprint/connector/daemon"
)

// People are told by mail first, and in Teams where they are not reached by it or it is not configured.
func TestSenders(t *testing.T) {
	mail := config.Mail{From: "printing@contoso.com", Graph: true}
	teams := config.Teams{AppID: "0d820ecd-def2-4297-adad-78056cde7c78"}
	for _, c := range []struct {
		notices config.Notices
		want    []string
	}{
		{config.Notices{}, nil},
		{config.Notices{Mail: mail}, []string{"graph"}},
		{config.Notices{Teams: teams}, []string{"teams"}},
		{config.Notices{Mail: mail, Teams: teams}, []string{"graph", "teams"}},
	} {
		list, err := daemon.Senders(&config.Config{Notices: c.notices}, nil)
		var names []string
		for _, s := range list {
			names = append(names, s.Name())
		}
		if err != nil || !slices.Equal(names, c.want) {
			t.Errorf("%v, want %v, %v", names, c.want, err)
		}
	}
}
