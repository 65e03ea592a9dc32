#!/bin/sh
# Makes the documents of the tests anew: PDF and XPS by several producers. Needs
# ghostscript, qpdf, cairo (python3-cairo) and, if they are there, TeX and LibreOffice.
set -eu
cd "$(dirname "$0")"
ps() { # N: N pages of PostScript
  i=1
  while [ "$i" -le "$1" ]; do
    echo "/Helvetica findfont 24 scalefont setfont 72 700 moveto (Page $i) show showpage"
    i=$((i + 1))
  done
}
gs='gs -q -dNOPAUSE -dBATCH -dNOSAFER'
ps 3 | $gs -sDEVICE=pdfwrite -sOutputFile=ghostscript-3.pdf -
ps 120 | $gs -sDEVICE=pdfwrite -sOutputFile=ghostscript-120.pdf -
ps 3 | $gs -sDEVICE=pdfwrite -dCompatibilityLevel=1.2 -sOutputFile=ghostscript-old-3.pdf -
ps 5 | $gs -sDEVICE=xpswrite -sOutputFile=ghostscript-5.xps -
qpdf --object-streams=generate ghostscript-120.pdf qpdf-object-streams-120.pdf
qpdf --linearize ghostscript-120.pdf qpdf-linearized-120.pdf
qpdf --linearize --object-streams=generate ghostscript-120.pdf qpdf-linearized-streams-120.pdf
qpdf --encrypt user owner 256 -- ghostscript-3.pdf qpdf-encrypted-3.pdf
qpdf --encrypt '' owner 128 --use-aes=y -- ghostscript-3.pdf qpdf-owner-3.pdf
qpdf --object-streams=generate --encrypt user owner 256 -- ghostscript-3.pdf qpdf-encrypted-streams-3.pdf
qpdf --empty --pages ghostscript-3.pdf ghostscript-3.pdf ghostscript-120.pdf 1-10 -- qpdf-merged-16.pdf
qpdf --stream-data=uncompress ghostscript-3.pdf qpdf-uncompressed-3.pdf
{ printf 'junk before the head\n'; cat ghostscript-3.pdf; } > junk-before-3.pdf
{ cat ghostscript-3.pdf; printf '\r\n\032 and behind the end %05000d\n' 0; } > junk-behind-3.pdf
/usr/bin/python3 - <<'PY'
import cairo
for name, pages in (("cairo-4.pdf", 4),):
    s = cairo.PDFSurface(name, 595, 842)
    c = cairo.Context(s)
    for i in range(pages):
        c.move_to(72, 72); c.show_text("Page %d" % (i + 1)); c.show_page()
    s.finish()
# An update at the end, as a form or a signature makes one: a page is added.
import re
src = open("ghostscript-old-3.pdf", "rb").read()
root = re.search(rb"/Root (\d+) 0 R", src).group(1)
size = int(re.search(rb"/Size (\d+)", src).group(1))
prev = int(re.findall(rb"startxref\s+(\d+)", src)[-1])
cat = re.search(rb"\n" + root + rb" 0 obj\s*<<.*?/Pages (\d+) 0 R", src, re.S).group(1)
node = re.search(rb"\n" + cat + rb" 0 obj\s*<<.*?/Kids \[(.*?)\]", src, re.S).group(1)
out = src
offsets = {}
def add(num, text):
    global out
    offsets[num] = len(out)
    out += b"%d 0 obj\n%s\nendobj\n" % (num, text)
add(int(cat), b"<< /Type /Pages /Count 4 /Kids [" + node + b" %d 0 R ] >>" % size)
add(size, b"<< /Type /Page /Parent " + cat + b" 0 R /MediaBox [0 0 595 842] /Resources << >> >>")
xref = len(out)
out += b"xref\n"
for num in sorted(offsets):
    out += b"%d 1\n%010d 00000 n \n" % (num, offsets[num])
out += b"trailer\n<< /Size %d /Root %s 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (size + 1, root, prev, xref)
open("updated-4.pdf", "wb").write(out)
PY
if command -v pdflatex > /dev/null; then
  printf '\\documentclass{article}\\begin{document}a\\newpage b\\newpage c\\newpage d\\newpage e\\newpage f\\end{document}' > tex-6.tex
  pdflatex -interaction=batchmode tex-6.tex > /dev/null && rm -f tex-6.tex tex-6.log tex-6.aux
fi
if command -v soffice > /dev/null; then
  printf '{\\rtf1 a\\page b\\par}' > libreoffice-2.rtf
  soffice --headless --convert-to pdf libreoffice-2.rtf > /dev/null && rm -f libreoffice-2.rtf
fi
