package graphtest

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	hookURL      = "https://print.example.com/graph/notifications"
	lifecycleURL = "https://print.example.com/graph/lifecycle"
)

// receiver is a webhook in memory.
type receiver struct {
	mu        sync.Mutex
	handshake func(url, token string) *http.Response // nil = as it should be
	answer    func(nth int) (int, time.Duration)     // status, and how long it takes
	posts     []string                               // paths
	notes     []notificationJSON
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	if token := req.URL.Query().Get("validationToken"); token != "" {
		if r.handshake != nil {
			return r.handshake(req.URL.Path, token), nil
		}
		return plain(200, "text/plain", token), nil
	}
	var in struct {
		Value []notificationJSON `json:"value"`
	}
	if err := json.NewDecoder(req.Body).Decode(&in); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.posts = append(r.posts, req.URL.Path)
	status, delay := 202, time.Duration(0)
	if r.answer != nil {
		status, delay = r.answer(len(r.posts))
	}
	if status/100 == 2 {
		r.notes = append(r.notes, in.Value...)
	}
	r.mu.Unlock()
	if err := sleep(req.Context(), delay); err != nil {
		return nil, err
	}
	return plain(status, "text/plain", ""), nil
}

func plain(status int, kind, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body))}
}

func (r *receiver) all() []notificationJSON {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.notes)
}

// listen makes an office with a subscription to it, in virtual time.
func listen(t *testing.T, k Knobs, r *receiver) *office {
	k.Deliver = r
	o := newOffice(t, k)
	o.subscribe(201, nil)
	return o
}

func (o *office) subscribe(want int, change map[string]any) answer {
	o.Helper()
	body := map[string]any{
		"changeType": "created", "resource": "print/taskDefinitions/" + o.definition + "/tasks", "clientState": "secret",
		"notificationUrl": hookURL, "lifecycleNotificationUrl": lifecycleURL,
		"expirationDateTime": time.Now().Add(4200 * time.Minute).UTC().Format(time.RFC3339),
	}
	for name, v := range change {
		body[name] = v
	}
	return o.call(want, "POST", "/subscriptions", body)
}

func TestNotification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		o := listen(t, Calm(), r)
		id := o.submit(JobSpec{})
		o.submit(JobSpec{Printer: o.device.ID}) // no trigger: no word of it
		synctest.Wait()
		notes := r.all()
		if len(notes) != 1 {
			t.Fatalf("%d notifications", len(notes))
		}
		task := o.job(id).Task
		n := notes[0]
		want := "print/taskDefinitions/" + o.definition + "/tasks/" + task.ID
		if n.Resource != want || *n.ClientState != "secret" || n.ChangeType != "created" || n.Tenant != o.sim.Tenant() ||
			n.ResourceData.ID != task.ID || n.ResourceData.ParentURL != base+jobPath(id) || n.Subscription != o.sim.Subscriptions()[0].ID {
			t.Errorf("notification %+v %+v", n, n.ResourceData)
		}
	})
}

func TestNotificationFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		turn func(*Knobs)
		want int
	}{
		{"none lost", func(*Knobs) {}, 20},
		{"all lost", func(k *Knobs) { k.LoseNotification = 1 }, 0},
		{"all twice", func(k *Knobs) { k.DuplicateNotification = 1 }, 40},
		{"late and joined", func(k *Knobs) { k.NotifyDelay, k.Join = time.Second, 5 }, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &receiver{}
				k := Calm()
				c.turn(&k)
				o := listen(t, k, r)
				var order []string
				for range 20 {
					order = append(order, o.job(o.submit(JobSpec{})).Task.ID)
				}
				time.Sleep(2 * time.Second) // virtual
				synctest.Wait()
				notes := r.all()
				if len(notes) != c.want {
					t.Fatalf("%d notifications, want %d", len(notes), c.want)
				}
				if k.NotifyDelay > 0 {
					got := make([]string, len(notes))
					for i, n := range notes {
						got[i] = n.ResourceData.ID
					}
					if slices.Equal(got, order) {
						t.Error("delays did not reorder anything")
					}
				}
			})
		})
	}
}

func TestNoParentURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		k := Calm()
		k.NoParentURL = 1
		o := listen(t, k, r)
		id := o.submit(JobSpec{})
		synctest.Wait()
		if notes := r.all(); len(notes) != 1 || notes[0].ResourceData.ParentURL != "" {
			t.Errorf("notes %+v", notes)
		}
		if a := o.call(200, "GET", o.taskPath(id), nil); a.body["parentUrl"] != base+jobPath(id) {
			t.Errorf("task %v", a.body)
		}
	})
}

func TestNotificationsAreRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(nth int) (int, time.Duration) {
			switch nth {
			case 1:
				return 503, 0
			case 2:
				return 200, 4 * time.Second // too late: the receiver has it, Graph does not believe it
			}
			return 202, 0
		}}
		o := listen(t, Calm(), r)
		o.submit(JobSpec{})
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := len(r.all()); got != 2 || o.sim.Calls("notifications.posted") != 1 || o.sim.Calls("notifications.retried") != 2 {
			t.Errorf("heard %d, counts %v", got, o.sim.AllCalls())
		}

		r.mu.Lock()
		r.answer = func(int) (int, time.Duration) { return 500, 0 }
		r.mu.Unlock()
		o.submit(JobSpec{})
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if o.sim.Calls("notifications.dropped") != 1 {
			t.Errorf("counts %v", o.sim.AllCalls())
		}
	})
}

func TestHandshake(t *testing.T) {
	for _, c := range []struct {
		name string
		give func(path, token string) *http.Response
		want int
	}{
		{"right", nil, 201},
		{"wrong body", func(_, token string) *http.Response { return plain(200, "text/plain", token+"!") }, 400},
		{"still encoded", func(_, token string) *http.Response {
			return plain(200, "text/plain", strings.ReplaceAll(token, " ", "+"))
		}, 400},
		{"wrong type", func(_, token string) *http.Response { return plain(200, "application/json", token) }, 400},
		{"202", func(_, token string) *http.Response { return plain(202, "text/plain", token) }, 400},
		{"only one of both", func(path, token string) *http.Response {
			if strings.HasSuffix(path, "lifecycle") {
				return plain(404, "text/plain", "")
			}
			return plain(200, "text/plain; charset=utf-8", token)
		}, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := Calm()
			k.Deliver = &receiver{handshake: c.give}
			o := newOffice(t, k)
			o.subscribe(c.want, nil)
			if n := len(o.sim.Subscriptions()); (n == 1) != (c.want == 201) {
				t.Errorf("%d subscriptions", n)
			}
		})
	}
}

// slow never answers.
type slow struct{}

func (slow) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestHandshakeTakesTenSecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := Calm()
		k.Deliver = slow{}
		o := newOffice(t, k)
		start := time.Now()
		o.subscribe(400, nil)
		if d := time.Since(start); d != handshakeTimeout {
			t.Errorf("took %v", d)
		}
	})
}

func TestSubscriptionLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := Calm()
		k.Deliver = &receiver{}
		o := newOffice(t, k)
		in := func(d time.Duration) map[string]any {
			return map[string]any{"expirationDateTime": time.Now().Add(d).UTC().Format(time.RFC3339Nano)}
		}
		o.subscribe(400, in(4231*time.Minute))
		o.subscribe(400, in(-time.Minute))
		o.subscribe(400, map[string]any{"clientState": strings.Repeat("x", 129)})
		o.subscribe(400, map[string]any{"changeType": "updated"})
		o.subscribe(400, map[string]any{"resource": "print/printers/" + o.queue.ID + "/jobs"})
		o.subscribe(400, map[string]any{"notificationUrl": "http://print.example.com/x"})
		o.subscribe(404, map[string]any{"resource": "print/taskDefinitions/nope/tasks"})
		foreign := o.sim.PlantDefinition("somebody-else", "pullprint")
		o.subscribe(403, map[string]any{"resource": "print/taskDefinitions/" + foreign + "/tasks"})

		a := o.subscribe(201, in(time.Minute))
		o.subscribe(409, map[string]any{"notificationUrl": "https://elsewhere.contoso.com/x"})
		if got := o.sim.Subscriptions()[0].Expires; !got.Equal(time.Now().Add(45 * time.Minute)) {
			t.Errorf("raised to %v", got)
		}
		if a.body["clientState"] != "secret" {
			t.Errorf("created: %v", a.body)
		}
		one := "/subscriptions/" + a.body["id"].(string)
		if got := o.call(200, "GET", one, nil); got.body["clientState"] != nil {
			t.Errorf("GET shows the clientState: %v", got.body)
		}
		o.call(400, "PATCH", one, in(4231*time.Minute))
		o.call(200, "PATCH", one, in(4230*time.Minute))
		o.call(204, "POST", one+"/reauthorize", nil)
		if got := o.call(200, "GET", "/subscriptions", nil).value(); len(got) != 1 {
			t.Errorf("list %v", got)
		}
		mine := o.bearer
		o.bearer = o.sim.AppToken(o.sim.AddApp(App{}).ClientID)
		o.call(404, "GET", one, nil)
		if got := o.call(200, "GET", "/subscriptions", nil).value(); len(got) != 0 {
			t.Errorf("a foreign app sees %v", got)
		}
		o.bearer = mine
		o.call(204, "DELETE", one, nil)
		o.call(404, "DELETE", one, nil)
	})
}

func TestSubscriptionLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		k := Calm()
		k.ReauthorizeGrace = time.Minute
		k.TokenLife = 100 * time.Hour
		o := listen(t, k, r)
		one := "/subscriptions/" + o.sim.Subscriptions()[0].ID
		time.Sleep(4190*time.Minute + time.Second)
		synctest.Wait()
		notes := r.all()
		if len(notes) != 1 || notes[0].LifecycleEvent != "reauthorizationRequired" || *notes[0].ClientState != "secret" ||
			!strings.HasSuffix(r.posts[0], "lifecycle") {
			t.Fatalf("lifecycle: %+v %v", notes, r.posts)
		}
		time.Sleep(2 * time.Minute)
		o.submit(JobSpec{}) // not reauthorized: silence
		synctest.Wait()
		if len(r.all()) != 1 {
			t.Fatal("notified though reauthorization was due")
		}
		o.call(204, "POST", one+"/reauthorize", nil)
		o.submit(JobSpec{})
		synctest.Wait()
		if len(r.all()) != 2 {
			t.Fatal("not notified after reauthorization")
		}
		time.Sleep(10 * time.Minute)
		o.submit(JobSpec{})
		synctest.Wait()
		if len(r.all()) != 2 {
			t.Error("notified after expiry")
		}
		o.call(404, "GET", one, nil)
		o.call(404, "PATCH", one, map[string]any{"expirationDateTime": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
		if n := len(o.sim.Subscriptions()); n != 0 {
			t.Errorf("%d subscriptions live", n)
		}
	})
}

func TestDropAndExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		o := listen(t, Calm(), r)
		o.sim.DropSubscriptions()
		o.submit(JobSpec{})
		a := o.subscribe(201, nil)
		o.sim.ExpireSubscriptions()
		o.call(404, "GET", "/subscriptions/"+a.body["id"].(string), nil)
		o.submit(JobSpec{})
		o.subscribe(201, nil)
		o.sim.RequireReauthorization()
		synctest.Wait()
		if notes := r.all(); len(notes) != 1 || notes[0].LifecycleEvent == "" {
			t.Errorf("notes %+v", notes)
		}
	})
}
