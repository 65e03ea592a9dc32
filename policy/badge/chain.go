// Package badge knows whose badge it is: it makes one canonical number of what
// different readers tell of the same card, stores it only as a keyed hash, and
// resolves it to an owner. A card number is never stored, logged or put into an
// error.
package badge

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Config is the badges section of the configuration.
type Config struct {
	// KeyFile holds the keys of the hash: see ParseKeys.
	KeyFile string `yaml:"key_file"`
	// Normalise is the chain that makes a number canonical: see ParseChain.
	Normalise []string `yaml:"normalise"`
	// EntraAttribute, when set, is where an unknown number is looked up in the
	// directory: employeeId.
	EntraAttribute string `yaml:"entra_attribute"`
	// SelfEnrol lets the owner of an unknown card enrol it, signed in with Entra: see Offer.
	SelfEnrol bool `yaml:"self_enrol"`
}

// DefaultNormalise is the chain of a configuration that has none.
var DefaultNormalise = []string{"trim", "upper"}

// maxNumber is how long a number may be, before and after the chain.
const maxNumber = 128

// ErrNumber says that what a reader told is no number of a card. It never
// quotes it.
var ErrNumber = errors.New("the card number can't be used")

// Chain makes a number canonical. The zero Chain changes nothing.
type Chain []step

type step struct {
	name  string
	apply func(string) (string, error)
}

// plain are the steps without an argument.
var plain = map[string]func(string) (string, error){
	"trim":   func(s string) (string, error) { return strings.TrimSpace(s), nil },
	"upper":  func(s string) (string, error) { return strings.ToUpper(s), nil },
	"lower":  func(s string) (string, error) { return strings.ToLower(s), nil },
	"digits": func(s string) (string, error) { return strings.Map(only("0123456789"), s), nil },
	"strip-separators": func(s string) (string, error) {
		return strings.NewReplacer(" ", "", ":", "", "-", "", ".", "").Replace(s), nil
	},
	"hex":           hexDigits,
	"strip-zeros":   stripZeros,
	"hex-to-dec":    func(s string) (string, error) { return base(s, 16, 10) },
	"dec-to-hex":    func(s string) (string, error) { return base(s, 10, 16) },
	"reverse-bytes": reverseBytes,
	"strip-parity":  parity(26, 10),
}

// withArgument are the steps that take one after a colon.
var withArgument = map[string]func(arg string) (func(string) (string, error), error){
	"prefix":       prefix,
	"pad":          pad,
	"cut":          cut,
	"layout":       layout,
	"strip-parity": stripParity,
}

// Steps are the names of all steps, sorted.
func Steps() []string {
	var names []string
	for name := range plain {
		names = append(names, name)
	}
	for name := range withArgument {
		names = append(names, name+":")
	}
	slices.Sort(names)
	return names
}

// ParseChain reads the steps of a chain, which are applied in order:
//
//	trim              " 04a2 "     04a2       white space around it
//	upper, lower      04a2         04A2
//	digits            No 123-4     1234       everything else is dropped
//	hex               ;04A21BC3?   04A21BC3   everything else is dropped
//	strip-separators  04:A2-1B C3  04A21BC3   spaces, colons, dashes, dots
//	strip-zeros       0001234      1234       leading ones
//	hex-to-dec        04A21BC3     77732803
//	dec-to-hex        77732803     4A21BC3    upper case, no leading zeros
//	reverse-bytes     04A21BC3     C31BA204   of a hexadecimal number
//	strip-parity      48771294     7608431    first and last of 26 bits (Wiegand)
//	strip-parity:37   68841124062  60823663   first and last of 37 bits
//	strip-parity:hex  2E830DE      74186F     of a hexadecimal number; with 37
//	                                          bits it is strip-parity:37:hex
//	layout:fr         &é"'         1234       typed by a reader as US keys
//	pad:10            77732803     0077732803 zeros in front
//	prefix:HQ         1234         HQ1234
//	cut:2:8           0004A21BC300 04A21BC3   from place 2 (the first is 0), 8 characters
//
// How many bits a number has and whether it is hexadecimal can't be told from
// the number, so strip-parity is told: a number of one card must never become
// that of another. The error joins a StepError for each step that is wrong.
func ParseChain(steps []string) (Chain, error) {
	var c Chain
	var wrong []error
	for i, text := range steps {
		s, err := parseStep(text)
		if err != nil {
			one := &StepError{Index: i, Step: text, Message: err.Error()}
			var use *useError
			if errors.As(err, &use) {
				one.Message, one.Hint = use.message, use.hint
			}
			wrong = append(wrong, one)
		}
		c = append(c, s)
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return c, nil
}

// StepError says which step of a chain is wrong.
type StepError struct {
	// Index is its place in the list, from 0.
	Index int
	Step  string
	// Message says what is wrong, Hint what to write. A step that is unknown has no hint,
	// and one of which nothing but its form is wrong no message.
	Message, Hint string
}

// Error implements error.
func (e *StepError) Error() string {
	return fmt.Sprintf("step %d, %q: %v", e.Index+1, e.Step, &useError{e.Message, e.Hint})
}

// useError says what is wrong with how a step is written, and how to write it.
type useError struct{ message, hint string }

// Error implements error.
func (e *useError) Error() string {
	if e.message == "" || e.hint == "" {
		return e.message + e.hint
	}
	return e.message + "; " + e.hint
}

func parseStep(text string) (step, error) {
	name, arg, has := strings.Cut(text, ":")
	apply, bare := plain[name]
	parse, ok := withArgument[name]
	switch {
	case bare && !has:
		return step{name, apply}, nil
	case bare && !ok:
		return step{}, &useError{"it takes no argument", "leave out the colon and what follows"}
	case !ok:
		return step{}, errors.New("there is no such step")
	}
	if !has || arg == "" {
		return step{}, &useError{hint: "write " + name + ":ARGUMENT"}
	}
	apply, err := parse(arg)
	return step{name, apply}, err
}

// Apply makes a number canonical. Control and format characters never count; those of
// white space are a space. An error wraps ErrNumber and names the step
// that failed, not the number.
func (c Chain) Apply(number string) (string, error) {
	if !whole(number) {
		return "", fmt.Errorf("%w: characters of it were lost: it is not in UTF-8, or was converted to it from something "+
			"else; send it in UTF-8", ErrNumber)
	}
	return c.apply(visible(number))
}

// whole reports whether no character of a text was lost. What is not UTF-8, and what JSON
// and other decoders put in its place (U+FFFD), would make one number of several.
func whole(text string) bool {
	return !strings.ContainsRune(text, utf8.RuneError) // of what is not UTF-8, too
}

// applyAsBefore is Apply as an earlier version did it, with the characters that nobody
// sees: badges that were enrolled so are found by it. ok is false when nothing is other.
func (c Chain) applyAsBefore(number string) (canonical string, ok bool) {
	if visible(number) == number || !whole(number) {
		return "", false
	}
	canonical, err := c.apply(number)
	return canonical, err == nil
}

func (c Chain) apply(number string) (string, error) {
	for _, s := range c {
		if len(number) > maxNumber {
			break
		}
		var err error
		if number, err = s.apply(number); err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrNumber, s.name, err)
		}
	}
	switch {
	case number == "":
		return "", fmt.Errorf("%w: nothing is left of it", ErrNumber)
	case len(number) > maxNumber:
		return "", fmt.Errorf("%w: it is longer than %d characters", ErrNumber, maxNumber)
	}
	return number, nil
}

func only(set string) func(rune) rune {
	return func(r rune) rune {
		if strings.ContainsRune(set, r) {
			return r
		}
		return -1
	}
}

func stripZeros(s string) (string, error) {
	if t := strings.TrimLeft(s, "0"); t != "" {
		return t, nil
	}
	return s[:min(len(s), 1)], nil
}

var (
	errNotHex     = errors.New("not a hexadecimal number")
	errNotDecimal = errors.New("not a decimal number")
)

func parseNumber(s string, in int) (*big.Int, error) {
	digits := "0123456789"
	if in == 16 {
		digits += "abcdefABCDEF"
	}
	n, ok := new(big.Int).SetString(s, in)
	if !ok || strings.Trim(s, digits) != "" {
		if in == 16 {
			return nil, errNotHex
		}
		return nil, errNotDecimal
	}
	return n, nil
}

func base(s string, from, to int) (string, error) {
	n, err := parseNumber(s, from)
	if err != nil {
		return "", err
	}
	return strings.ToUpper(n.Text(to)), nil
}

func reverseBytes(s string) (string, error) {
	if _, err := parseNumber(s, 16); err != nil {
		return "", err
	}
	if len(s)%2 == 1 {
		s = "0" + s
	}
	var b strings.Builder
	for i := len(s); i > 0; i -= 2 {
		b.WriteString(s[i-2 : i])
	}
	return b.String(), nil
}

// stripParity takes the length in bits, hex, or both.
func stripParity(arg string) (func(string) (string, error), error) {
	bits, in := 26, 10
	length, isHex := strings.CutSuffix(":"+arg, ":hex")
	if isHex {
		in = 16
	}
	switch length {
	case "", ":26":
	case ":37":
		bits = 37
	default:
		return nil, &useError{
			hint: "write strip-parity, strip-parity:37, strip-parity:hex or strip-parity:37:hex",
		}
	}
	return parity(bits, in), nil
}

// parity drops the first and the last of so many bits, and answers in the base
// it was asked in.
func parity(bits, in int) func(string) (string, error) {
	return func(s string) (string, error) {
		n, err := parseNumber(s, in)
		if err != nil {
			return "", err
		}
		if n.BitLen() > bits {
			return "", fmt.Errorf("more than %d bits", bits)
		}
		n.SetBit(n, bits-1, 0).Rsh(n, 1)
		return strings.ToUpper(n.Text(in)), nil
	}
}

func prefix(arg string) (func(string) (string, error), error) {
	if len(arg) > 32 {
		return nil, &useError{"the prefix is too long", "write 32 characters at most"}
	}
	return func(s string) (string, error) { return arg + s, nil }, nil
}

func pad(arg string) (func(string) (string, error), error) {
	n, err := strconv.Atoi(arg)
	if err != nil || n < 1 || n > maxNumber {
		return nil, &useError{hint: fmt.Sprintf("write a length from 1 to %d", maxNumber)}
	}
	return func(s string) (string, error) { return strings.Repeat("0", max(0, n-len(s))) + s, nil }, nil
}

func cut(arg string) (func(string) (string, error), error) {
	from, length, _ := strings.Cut(arg, ":")
	i, err := strconv.Atoi(from)
	n, err2 := strconv.Atoi(length)
	if err != nil || err2 != nil || i < 0 || n < 1 || i > maxNumber || n > maxNumber {
		return nil, &useError{hint: "write cut:FROM:LENGTH, as cut:2:8"}
	}
	return func(s string) (string, error) {
		if i+n > len(s) {
			return "", fmt.Errorf("shorter than %d characters", i+n)
		}
		return s[i : i+n], nil
	}, nil
}
