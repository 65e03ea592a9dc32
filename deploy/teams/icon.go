package main

import (
	"image"
	"image/color"
	"image/draw"
)

// The sizes of icons, and how large the picture on the coloured one may be
// (https://learn.microsoft.com/microsoftteams/platform/concepts/build-and-test/apps-package).
const (
	colorSize   = 192
	outlineSize = 32
	colorScale  = 3 // the picture has 96 of the 192 pixels
)

// accent is accentColor of the manifest.
var accent = color.RGBA{R: 0x1F, G: 0x4E, B: 0x79, A: 0xFF}

// printer is the picture of a printer in the pixels of the outline icon: each part is filled, and its inside
// is taken out again.
var printer = []struct{ outer, inner image.Rectangle }{
	{image.Rect(8, 3, 24, 12), image.Rect(10, 5, 22, 10)},
	{image.Rect(3, 10, 29, 24), image.Rect(5, 12, 27, 22)},
	{image.Rect(8, 18, 24, 29), image.Rect(10, 20, 22, 27)},
	{image.Rect(22, 14, 25, 16), image.Rectangle{}},
}

// paint draws the printer in white on a background.
func paint(on draw.Image, background color.Color, scale int, at image.Point) {
	part := func(r image.Rectangle, c color.Color) {
		r = image.Rectangle{r.Min.Mul(scale), r.Max.Mul(scale)}.Add(at)
		draw.Draw(on, r, image.NewUniform(c), image.Point{}, draw.Src)
	}
	draw.Draw(on, on.Bounds(), image.NewUniform(background), image.Point{}, draw.Src)
	for _, p := range printer {
		part(p.outer, color.White)
		part(p.inner, background)
	}
}

// colorIcon is the icon on a background.
func colorIcon() image.Image {
	icon := image.NewNRGBA(image.Rect(0, 0, colorSize, colorSize))
	margin := (colorSize - outlineSize*colorScale) / 2
	paint(icon, accent, colorScale, image.Pt(margin, margin))
	return icon
}

// outlineIcon is white on nothing.
func outlineIcon() image.Image {
	icon := image.NewNRGBA(image.Rect(0, 0, outlineSize, outlineSize))
	paint(icon, color.Transparent, 1, image.Point{})
	return icon
}
