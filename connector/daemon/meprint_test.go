package daemon_test

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// fromAfar lets people print from afar at the next daemon, and says where a device stands.
func (o *office) fromAfar() {
	o.t.Helper()
	file := filepath.Join(o.dir, "config.yaml")
	src, err := os.ReadFile(file)
	if err != nil {
		o.t.Fatal(err)
	}
	text := strings.Replace(string(src), "token_file: reader-token}", `token_file: reader-token, location: "HQ, canteen"}`, 1)
	o.write("config.yaml", text+"release: {remote: true}\n")
}

func jobField(ids ...graphtest.JobID) (list []string) {
	for _, id := range ids {
		list = append(list, id.Printer+"/"+id.Job)
	}
	return list
}

// A person prints from their own page at a printer that they choose, where that is allowed: one job or all,
// each once, and no one else's. The decisions say who, from afar and where.
func TestReleaseFromAfar(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.peopleSignIn("http://" + o.admin())
		o.fromAfar()
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		held := s.hold(3)
		if err := errors.Join(o.sim.SetPrinter(eastID, "stopped", true), o.sim.SetDetails(eastID, time.Time{}, "mediaJam")); err != nil {
			t.Fatal(err)
		}
		student, teacher := o.surfer(), o.surfer()
		student.says(student.signIn(studentID, "/me"), []string{"Print all 3", "Or show your badge"}, nil)
		_, text := student.load("/me/print", nil)
		student.says(text, []string{
			"HQ, canteen", "hq-2-east", "Can't print at the moment: paper jam",
			"Print all 3",
		}, []string{"of these jobs"})
		_, text = student.load("/me/print?job="+url.QueryEscape(jobField(held[0])[0]), nil)
		student.says(text, []string{"HQ, canteen"}, []string{"Print all"})

		teacher.signIn(teacherID, "/me")
		form := url.Values{"device": {"hq-2-west"}, "job": jobField(held[0])}
		_, text = teacher.load("/me/print", form)
		teacher.says(text, []string{"no longer waiting"}, []string{"Sent to"})

		_, text = student.load("/me/print", form)
		student.says(text, []string{"Your jobs are on their way", "Sent to HQ, canteen (hq-2-west)"}, []string{"Not printed"})
		_, text = student.load("/me/print", form)
		student.says(text, []string{"no longer waiting"}, nil)
		_, text = student.load("/me/print", url.Values{"device": {"hq-2-east"}, "job": jobField(held[1:]...)})
		student.says(text, []string{"Nothing was printed", "Not printed", "device.unavailable"}, nil)
		_, text = student.load("/me/print", url.Values{"job": jobField(held[1:]...)})
		student.says(text, []string{"No printer was chosen"}, nil)
		_, text = student.load("/me/print", url.Values{"device": {"hq-2-west"}})
		student.says(text, nil, []string{"Sent to"})
		pass(time.Second)
		_, text = student.load("/me/print", url.Values{"device": {"hq-2-west"}, "job": jobField(held[1:]...)})
		student.says(text, []string{"Sent to"}, []string{"Not printed"})
		for _, id := range held {
			if j, _ := o.sim.Job(id); j.Effects.Applied() != 1 {
				t.Errorf("printed %d times", j.Effects.Applied())
			}
		}
		said := map[string]int{}
		for _, d := range s.all() {
			if d.Point == "release" {
				said[fmt.Sprintln(d.Verdict, d.Asked, d.Owner, d.Device, d.Actor)]++
			}
		}
		for line, n := range map[string]int{
			fmt.Sprintln("redirect", "remote", studentID, "hq-2-west", ""): 3,
			fmt.Sprintln("keep", "remote", studentID, "hq-2-east", ""):     2,
		} {
			if said[line] != n {
				t.Errorf("not said %d times: %s in %v", n, line, said)
			}
		}
	})
}

// Without release.remote there is no way to print from afar, and the page says how to print.
func TestReleaseAtTheDeviceOnly(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.peopleSignIn("http://" + o.admin())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		held := s.hold(1)
		student := o.surfer()
		student.says(student.signIn(studentID, "/me"), []string{"Show your badge at a printer"}, []string{"Print it"})
		_, text := student.load("/me/print", url.Values{"device": {"hq-2-west"}, "job": jobField(held...)})
		student.says(text, []string{"There is no such page"}, nil)
		if j, _ := o.sim.Job(held[0]); j.Effects.Applied() != 0 {
			t.Error("printed from afar")
		}
	})
}
