package view

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Text is read at a contrast of 4.5, and what shows where a control is seen at 3, in both schemes (WCAG 2.2,
// 1.4.3 and 1.4.11), by the colors of the style sheet.
func TestContrast(t *testing.T) {
	src, err := files.ReadFile("pages/style.css")
	if err != nil {
		t.Fatal(err)
	}
	roots := regexp.MustCompile(`(?s):root \{.*?\}`).FindAllString(string(src), -1)
	if len(roots) != 2 {
		t.Fatalf("the style sheet has %d lists of colors, not one for light and one for dark", len(roots))
	}
	for i, scheme := range []string{"light", "dark"} {
		light := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]+)`).FindAllStringSubmatch(roots[i], -1) {
			light[m[1]] = luminance(t, m[2])
		}
		for _, c := range []struct {
			least         float64
			colors, below string
		}{
			{4.5, "ink muted accent good bad warn", "paper ground"},
			{4.5, "on-accent", "accent"},
			{4.5, "good ink", "good-ground"},
			{4.5, "bad ink", "bad-ground"},
			{4.5, "warn ink", "warn-ground"},
			{3, "edge accent", "paper ground"}, // borders, buttons and the ring of what has the focus
		} {
			for _, color := range strings.Fields(c.colors) {
				for _, below := range strings.Fields(c.below) {
					a, ok := light[color]
					b, known := light[below]
					if !ok || !known {
						t.Fatalf("%s: no color %s or %s", scheme, color, below)
					}
					if contrast := (max(a, b) + 0.05) / (min(a, b) + 0.05); contrast < c.least {
						t.Errorf("%s: %s on %s has a contrast of %.2f, less than %v", scheme, color, below, contrast, c.least)
					}
				}
			}
		}
	}
}

// luminance is the relative luminance of a color (https://www.w3.org/TR/WCAG22/#dfn-relative-luminance).
func luminance(t *testing.T, color string) (sum float64) {
	t.Helper()
	hex := color[1:]
	if len(hex) == 3 {
		hex = fmt.Sprintf("%[1]c%[1]c%[2]c%[2]c%[3]c%[3]c", hex[0], hex[1], hex[2])
	}
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
