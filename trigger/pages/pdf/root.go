package pdf

import "pullprint/trigger/pages/document"

// findRoot uses the only catalog as root if the last trailer names none: the root of an earlier
// trailer may belong to an earlier revision.
func (s *search) findRoot() error {
	if !s.rootless {
		return nil
	}
	if s.root.number == 0 || s.several {
		return document.ErrDamaged
	}
	switch r, named := s.f.trailer["Root"].(ref); {
	case named && r.number != s.root.number:
		return document.ErrDamaged
	case !named && s.root.stream != 0: // the file was cut off, and other readers don't search object streams
		return document.ErrDamaged
	}
	s.f.trailer["Root"] = ref{number: s.root.number}
	return nil
}

// catalog records a catalog.
func (s *search) catalog(l located) {
	s.several = s.several || (s.root.number != 0 && s.root.number != l.number)
	s.root = l
}

// packedCatalog records an object in an object stream if it is a catalog.
func (s *search) packedCatalog(o *objectStream, p place, in located) error {
	mark := s.f.b.Mark()
	defer func() { s.f.b.Reset(mark) }()
	v, err := parserAt(o.data, s.f.b, p.at, o.data.Size()).value()
	if document.IsFinal(err) {
		return err
	}
	if d, ok := v.(dict); ok && d["Type"] == name("Catalog") {
		s.catalog(in)
	}
	return nil
}
