package main

import "time"

// networkFor is how long a network is broken: longer than it takes to elect another leader (4 to 9 s).
const networkFor = 10 * time.Second

// networkFaults are what happens to the network of a cluster, each for a time.
func (f *fleet) networkFaults() []event {
	n := f.nodes
	return []event{
		{what: "the NATS server that leads cut off from the others", do: func() { f.cut(n.CutSending, n.CutReceiving) }},
		{what: "the NATS server that leads hears nothing of the others", do: func() { f.cut(n.CutReceiving) }},
		{what: "the NATS server that leads not heard by the others", do: func() { f.cut(n.CutSending) }},
		{what: "the NATS server that leads cut off and joined again and again", do: f.flap},
		{what: "a slow network", do: func() {
			f.delay(20 * time.Millisecond)
			<-time.After(networkFor)
			f.delay(0)
		}},
	}
}

// cut cuts the server that leads the stream of tasks off from the others, for a time.
func (f *fleet) cut(ways ...func(server int)) {
	lead := f.leader()
	for _, cut := range ways {
		cut(lead)
	}
	<-time.After(networkFor)
	f.nodes.Join(lead)
}

// flap cuts the server that leads off and joins it again, many times: for less and for longer than
// servers and clients wait.
func (f *fleet) flap() {
	server := f.leader()
	end := time.Now().Add(networkFor)
	for time.Now().Before(end) {
		f.nodes.CutSending(server)
		f.nodes.CutReceiving(server)
		<-time.After(time.Duration(100+f.dice.IntN(1400)) * time.Millisecond)
		f.nodes.Join(server)
		<-time.After(time.Duration(50+f.dice.IntN(400)) * time.Millisecond)
	}
}

// delay slows all that NATS servers send each other, and what daemons and they do.
func (f *fleet) delay(d time.Duration) {
	f.nodes.Delay(d)
	for _, r := range f.replicas {
		for _, p := range r.paths {
			p.Delay(d)
		}
	}
}

// cutOff cuts the daemon that has the lease of the sweep off from the NATS servers for longer than the
// lease lasts.
func (f *fleet) cutOff(d time.Duration) {
	r := f.sweeper()
	for _, p := range r.paths {
		p.Shut()
	}
	<-time.After(d)
	if f.sweeper() == r {
		f.Error("the lease of a daemon that is cut off has not gone to another")
	}
	for _, p := range r.paths {
		p.Open()
	}
}
