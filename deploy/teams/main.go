// Command teams writes the package of the Teams app by which notices reach people in Microsoft Teams: its
// manifest with a type of activity for each kind of notice, a file of texts for each language, and two icons.
// It is run from the source, by go run ./deploy/teams.
package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"pullprint/trigger/graph"
)

// settings are what the package of an installation has of its own.
type settings struct {
	// app is the id in the manifest. client is the app registration's, and url is sign_in.public_url.
	app, client, url            string
	developer, version          string
	privacy, terms, destination string
}

func main() {
	var s settings
	flag.StringVar(&s.client, "client", "", "auth.client_id, the id of the app registration; required")
	flag.StringVar(&s.url, "url", "", "sign_in.public_url, which has to begin with https; required")
	flag.StringVar(&s.app, "app", "", "the id in the manifest, a GUID; one that is made of -client if left out")
	flag.StringVar(&s.version, "version", "1.0.0", "of the package: higher than that of the one before")
	flag.StringVar(&s.developer, "developer", "pullprint", "who provides the app, as people are shown it")
	flag.StringVar(&s.privacy, "privacy", "", "address of your privacy statement; people's own page if left out")
	flag.StringVar(&s.terms, "terms", "", "address of your terms of use; people's own page if left out")
	flag.StringVar(&s.destination, "out", "pullprint-teams.zip", "the file to write")
	flag.Parse()
	if err := run(s, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run writes the package.
func run(s settings, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q; -h lists the flags", args[0])
	}
	s, err := s.checked()
	if err != nil {
		return err
	}
	content, err := s.zip()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Clean(s.destination), content, 0o600); err != nil {
		return err
	}
	fmt.Printf("%s written, with the id %s. Upload it in the Teams admin center under Manage apps, and write the App ID "+
		"that is shown there then into notices.teams.app_id.\n", s.destination, s.app)
	return nil
}

// versions are those that the schema of manifests takes (semver without what is behind the numbers).
var versions = regexp.MustCompile(`^\d{1,5}\.\d{1,5}\.\d{1,5}$`)

// maxDeveloper is how long the name of a developer may be by the schema of manifests.
const maxDeveloper = 32

// checked fills in what is left out, and says what is wrong.
func (s settings) checked() (settings, error) {
	client, guid := graph.CanonicalGUID(s.client)
	if !guid {
		return s, errors.New("-client is not a GUID: write auth.client_id")
	}
	app, guid := graph.CanonicalGUID(cmp.Or(s.app, madeOf(client)))
	if !guid {
		return s, errors.New("-app is not a GUID")
	}
	s.url = strings.TrimSuffix(s.url, "/")
	s.client, s.app, s.privacy, s.terms = client, app, cmp.Or(s.privacy, s.url+"/me"), cmp.Or(s.terms, s.url+"/me")
	// -url comes first: without it the others, made of it, are wrong as well.
	for _, a := range []struct{ flag, value string }{{"-url", s.url}, {"-privacy", s.privacy}, {"-terms", s.terms}} {
		if u, err := url.Parse(a.value); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
			return s, fmt.Errorf("%s has to be an address that begins with https://", a.flag)
		}
	}
	if !versions.MatchString(s.version) {
		return s, errors.New("-version has to be three numbers, as 1.0.0")
	}
	if n := len([]rune(s.developer)); n == 0 || n > maxDeveloper {
		return s, fmt.Errorf("-developer has to have 1 to %d characters", maxDeveloper)
	}
	return s, nil
}

// madeOf is a GUID that depends on an id only: a package that is made again is of the same app.
func madeOf(id string) string {
	sum := sha256.Sum256([]byte("pullprint teams " + id))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // version 8, of which RFC 9562 says nothing more
	h := hex.EncodeToString(sum[:16])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}
