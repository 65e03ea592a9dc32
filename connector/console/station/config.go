package station

// Config is the section station of the configuration: what all stations show.
type Config struct {
	// Titles says how titles of jobs are shown: shown, masked or hidden. They are read from
	// Graph for the page and stored nowhere.
	Titles string `yaml:"titles"`
	// Language is the one for who reads none of those that there are, as en; empty is English, and for
	// notices the policy's.
	Language string `yaml:"language"`
	// Zone is the one of the times, as Europe/Zurich; empty is that of the policy.
	Zone string `yaml:"zone"`
	// Choices are what people may choose for each job: grayscale, duplex, copies.
	Choices []string `yaml:"choices"`
	// Help says whom to ask, as "IT help desk, phone 4711".
	Help string `yaml:"help"`
}
