package graphtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"path"
	"testing"
	"testing/synctest"
	"time"
)

// registration is the body that makes a virtual printer.
func registration(t *testing.T) map[string]any {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{SignatureAlgorithm: x509.SHA256WithRSA}, key)
	if err != nil {
		t.Fatal(err)
	}
	e, n := big.NewInt(int64(key.E)).Bytes(), key.N.Bytes()
	blob := []byte("RSA1")
	for _, v := range []int{2048, len(e), len(n), 0, 0} {
		blob = binary.LittleEndian.AppendUint32(blob, uint32(v))
	}
	return map[string]any{
		"displayName": "Pull", "manufacturer": "Contoso", "model": "Queue", "hasPhysicalDevice": false,
		"certificateSigningRequest": map[string]any{
			"content": base64.StdEncoding.EncodeToString(der), "transportKey": base64.StdEncoding.EncodeToString(append(append(blob,
				e...), n...)),
		},
	}
}

// A printer is there once its operation has succeeded, takes attributes from the app
// that made it alone, and has one share.
func TestVirtualPrinter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := Calm()
		k.OperationTime = 10 * time.Second
		o := newOffice(t, k)
		app, person := o.bearer, o.sim.UserToken(o.app.ClientID, o.admin.ID)
		body := registration(t)
		o.call(403, "POST", "/print/printers/create", body) // no app may
		o.bearer = o.sim.UserToken(o.app.ClientID, o.user.ID)
		o.call(403, "POST", "/print/printers/create", body)
		o.bearer = person
		for what, value := range map[string]any{
			"displayName": "", "hasPhysicalDevice": true, "certificateSigningRequest": map[string]any{"content": "AAAA"},
		} {
			bad := registration(t)
			bad[what] = value
			o.call(400, "POST", "/print/printers/create", bad)
		}
		bad := registration(t)
		bad["certificateSigningRequest"].(map[string]any)["transportKey"] = base64.StdEncoding.EncodeToString([]byte("RSA1"))
		o.call(400, "POST", "/print/printers/create", bad)

		before := len(o.sim.Printers())
		where := o.call(202, "POST", "/print/printers/create", body).header.Get("Operation-Location")
		look := "/print/operations/" + path.Base(where)
		state := func() any { return o.call(200, "GET", look, nil).body["status"].(map[string]any)["state"] }
		if s := state(); s != "running" || len(o.sim.Printers()) != before {
			t.Errorf("%v, %d printers", s, len(o.sim.Printers()))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s := state(); s != "succeeded" || len(o.sim.Printers()) != before+1 {
			t.Fatalf("%v, %d printers", s, len(o.sim.Printers()))
		}
		id, _ := o.call(200, "GET", look, nil).body["printer"].(map[string]any)["id"].(string)
		at := "/print/printers/" + id
		if p := o.call(200, "GET", at, nil).body; p["isAcceptingJobs"] != nil || !absent(p["isShared"]) ||
			len(p["capabilities"].(map[string]any)) != 0 {
			t.Errorf("%v", p)
		}

		attributes := map[string]any{"capabilities": map[string]any{"mediaSizes": []string{"A4"}}, "isAcceptingJobs": true}
		o.call(403, "PATCH", at, attributes) // people may not say what it can do
		o.bearer = o.sim.AppToken(o.sim.AddApp(App{}).ClientID)
		o.call(403, "PATCH", at, attributes) // nor may another app
		o.bearer = app
		o.call(403, "PATCH", "/print/printers/"+o.queue.ID, attributes) // nor this one of a printer it did not make
		o.call(400, "PATCH", at, map[string]any{"capabilities": map[string]any{"mediaSises": []string{"A4"}}})
		o.call(200, "PATCH", at, attributes)
		if p := o.call(200, "GET", at, nil).body; absent(p["isAcceptingJobs"]) || p["capabilities"].(map[string]any)["mediaSizes"] == nil {
			t.Errorf("%v", p)
		}

		share := map[string]any{"displayName": "Pull", "printer@odata.bind": "https://graph.microsoft.com/v1.0" + at}
		o.call(403, "POST", "/print/shares", share)
		o.bearer = person
		sid, _ := o.call(201, "POST", "/print/shares", share).body["id"].(string)
		o.call(409, "POST", "/print/shares", share)
		group := map[string]any{"@odata.id": "https://graph.microsoft.com/v1.0/groups/g"}
		o.call(204, "POST", "/print/shares/"+sid+"/allowedGroups/$ref", group)
		o.call(400, "POST", "/print/shares/"+sid+"/allowedGroups/$ref", group)
		o.call(200, "PATCH", "/print/shares/"+sid, map[string]any{"allowAllUsers": true})
		if _, everyone, groups, ok := o.sim.ShareOf(id); !ok || !everyone || len(groups) != 1 {
			t.Errorf("%v %v %v", everyone, groups, ok)
		}
		o.call(204, "DELETE", "/print/shares/"+sid, nil)
		o.call(404, "DELETE", "/print/shares/"+sid, nil)
		o.call(204, "DELETE", at, nil)
		o.call(404, "GET", at, nil)

		o.sim.Change(func(k *Knobs) { k.OperationFails = 1 })
		look = "/print/operations/" + path.Base(o.call(202, "POST", "/print/printers/create", body).header.Get("Operation-Location"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s := state(); s != "failed" || len(o.sim.Printers()) != before {
			t.Errorf("%v, %d printers", s, len(o.sim.Printers()))
		}
	})
}

// absent reports whether a property of an answer is not true.
func absent(v any) bool {
	b, ok := v.(bool)
	return !ok || !b
}
