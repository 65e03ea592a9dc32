package release

// Config is the section release of the configuration.
type Config struct {
	// Remote lets people who are signed in release jobs of their own at a device without standing there.
	Remote bool `yaml:"remote"`
}
