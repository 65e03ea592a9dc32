package pdf

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5" //nolint:gosec // what the format asks for
	"crypto/rc4" //nolint:gosec // the same
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"io"

	"pullprint/trigger/pages/document"
)

// padding fills passwords up to 32 bytes (ISO 32000-2, 7.6.4.3.2); the empty password is all
// padding.
var padding = []byte("\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08" +
	"\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A")

// decrypter decrypts the streams of a document that opens without a password. Such documents
// are encrypted only to restrict what their readers may do.
type decrypter struct {
	key []byte
	// method is RC4 (V2), AESV2, AESV3 or Identity.
	method name
	// methods are those of the crypt filters, by name.
	methods map[string]name
}

// decrypter returns the decrypter of a document; nil if it is not encrypted.
func (f *file) decrypter() (*decrypter, error) {
	if f.crypt != nil || f.trailer["Encrypt"] == nil {
		return f.crypt, nil
	}
	v, err := f.resolve(f.trailer["Encrypt"])
	if err != nil || v == nil {
		return nil, err
	}
	d, ok := v.(dict)
	if !ok || d["Filter"] != name("Standard") {
		return nil, document.ErrEncrypted
	}
	c := &decrypter{method: "V2", methods: map[string]name{"Identity": "Identity"}}
	version, _ := d["V"].(int64)
	if version >= 4 {
		if err := c.filters(f, d); err != nil {
			return nil, err
		}
	}
	if c.key, err = f.fileKey(d, version); err != nil {
		return nil, err
	}
	f.crypt = c
	return c, nil
}

// filters reads the methods that a document uses.
func (c *decrypter) filters(f *file, d dict) error {
	cf, err := f.resolve(d["CF"])
	if err != nil {
		return err
	}
	list, _ := cf.(dict)
	for k, v := range list {
		v, err := f.resolve(v)
		if err != nil {
			return err
		}
		if one, ok := v.(dict); ok && k != "Identity" {
			c.methods[k], _ = one["CFM"].(name)
		}
	}
	c.method = "Identity"
	if n, ok := d["StmF"].(name); ok {
		c.method = c.methods[string(n)]
	}
	return nil
}

// fileKey returns the key of a document whose user password is empty, else ErrEncrypted.
func (f *file) fileKey(d dict, version int64) ([]byte, error) {
	revision, _ := d["R"].(int64)
	o, _ := d["O"].(text)
	u, _ := d["U"].(text)
	if version >= 5 {
		ue, _ := d["UE"].(text)
		return key256(revision, u, ue)
	}
	permissions, _ := d["P"].(int64)
	if version < 1 || len(o) < 32 || len(u) < 32 {
		return nil, document.ErrEncrypted
	}
	id, err := f.firstID()
	if err != nil {
		return nil, err
	}
	length, ok := d["Length"].(int64)
	if length /= 8; !ok || version == 1 {
		length = 5
	}
	encrypted, ok := d["EncryptMetadata"].(bool)
	sum := keySum(o, permissions, id, ok && !encrypted && revision >= 4)
	for _, n := range []int64{length, 16} { // with crypt filters some producers write no Length, or 40
		if n < 5 || n > 16 {
			continue
		}
		key := bytes.Clone(sum)
		for i := 0; revision >= 3 && i < 50; i++ {
			again := md5.Sum(key[:n]) //nolint:gosec // the same
			copy(key, again[:])
		}
		if opens(key[:n], revision, u, id) {
			return key[:n], nil
		}
	}
	return nil, document.ErrEncrypted
}

// keySum is the first step of algorithm 2 (ISO 32000-2, 7.6.4.3.2) for the empty password.
func keySum(o text, permissions int64, id text, plainMetadata bool) []byte {
	h := md5.New() //nolint:gosec // what the format asks for
	h.Write(padding)
	h.Write([]byte(o[:32]))
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(permissions))) //nolint:gosec // 32 bits, with or without a sign
	h.Write([]byte(id))
	if plainMetadata {
		h.Write([]byte{0xff, 0xff, 0xff, 0xff})
	}
	return h.Sum(nil)
}

// firstID returns the first string of the ID of the document.
func (f *file) firstID() (text, error) {
	v, err := f.resolve(f.trailer["ID"])
	if err != nil {
		return "", err
	}
	list, ok := v.(array)
	if !ok || len(list) == 0 {
		return "", nil
	}
	v, err = f.resolve(list[0])
	id, _ := v.(text)
	return id, err
}

// opens reports whether key is that of the empty user password, up to revision 4.
func opens(key []byte, revision int64, u, id text) bool {
	if revision < 3 {
		got := bytes.Clone(padding)
		c, err := rc4.NewCipher(key) //nolint:gosec // what the format asks for
		if err != nil {
			return false
		}
		c.XORKeyStream(got, got)
		return string(got) == string(u[:32])
	}
	sum := md5.Sum(append(bytes.Clone(padding), id...)) //nolint:gosec // the same
	got := sum[:]
	for i := range 20 {
		k := bytes.Clone(key)
		for j := range k {
			k[j] ^= byte(i)
		}
		c, err := rc4.NewCipher(k) //nolint:gosec // the same
		if err != nil {
			return false
		}
		c.XORKeyStream(got, got)
	}
	return string(got) == string(u[:16])
}

// key256 returns the key of revisions 5 and 6 (ISO 32000-2, 7.6.4.3.3).
func key256(revision int64, u, ue text) ([]byte, error) {
	if len(u) < 48 || len(ue) < 32 {
		return nil, document.ErrEncrypted
	}
	hash := hash6
	if revision == 5 {
		hash = func(salt []byte) []byte { s := sha256.Sum256(salt); return s[:] }
	}
	if !bytes.Equal(hash([]byte(u[32:40])), []byte(u[:32])) {
		return nil, document.ErrEncrypted
	}
	block, err := aes.NewCipher(hash([]byte(u[40:48])))
	if err != nil {
		return nil, document.ErrEncrypted
	}
	key := []byte(ue[:32])
	cipher.NewCBCDecrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(key, key)
	return key, nil
}

// hash6 is algorithm 2.B for the empty password.
func hash6(salt []byte) []byte {
	first := sha256.Sum256(salt)
	k := first[:]
	for round := 0; ; round++ {
		e := bytes.Repeat(k, 64)
		block, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil
		}
		cipher.NewCBCEncrypter(block, k[16:32]).CryptBlocks(e, e)
		rest := 0
		for _, b := range e[:16] {
			rest += int(b)
		}
		switch rest % 3 {
		case 0:
			s := sha256.Sum256(e)
			k = s[:]
		case 1:
			s := sha512.Sum384(e)
			k = s[:]
		default:
			s := sha512.Sum512(e)
			k = s[:]
		}
		if round >= 63 && int(e[len(e)-1]) <= round-31 {
			return k[:32]
		}
	}
}

// stream decrypts the data of a stream.
func (c *decrypter) stream(r io.Reader, s *stream, filters []filter) (io.Reader, error) {
	method := c.method
	if len(filters) > 0 && filters[0].name == "Crypt" { // it has a method of its own
		n, ok := filters[0].parms["Name"].(name)
		if !ok {
			n = "Identity"
		}
		method = c.methods[string(n)]
	}
	switch method {
	case "Identity":
		return r, nil
	case "V2":
		k, err := rc4.NewCipher(c.objectKey(s, false)) //nolint:gosec // what the format asks for
		if err != nil {
			return nil, document.ErrEncrypted
		}
		return cipher.StreamReader{S: k, R: r}, nil
	case "AESV2", "AESV3":
		key := c.key
		if method == "AESV2" {
			key = c.objectKey(s, true)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, document.ErrEncrypted
		}
		iv := make([]byte, aes.BlockSize)
		if _, err := io.ReadFull(r, iv); err != nil {
			return nil, document.ErrDamaged
		}
		return blocks(r, cipher.NewCBCDecrypter(block, iv)), nil
	}
	return nil, document.ErrEncrypted
}

// objectKey returns the key of one object (ISO 32000-2, 7.6.3.2).
func (c *decrypter) objectKey(s *stream, salted bool) []byte {
	h := md5.New() //nolint:gosec // what the format asks for
	h.Write(c.key)
	n, g := s.number, s.generation
	h.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(g), byte(g >> 8)}) //nolint:gosec // the low bytes
	if salted {
		h.Write([]byte("sAlT"))
	}
	return h.Sum(nil)[:min(len(c.key)+5, 16)]
}

// blocks decrypts block by block. It does not remove the padding: nothing after the last object
// of a stream is read.
func blocks(r io.Reader, mode cipher.BlockMode) io.Reader {
	buffered := bufio.NewReader(r)
	var buf [aes.BlockSize]byte
	return document.Produced(func() ([]byte, error) {
		if _, err := io.ReadFull(buffered, buf[:]); err != nil {
			return nil, err // an end within a block is not io.EOF
		}
		mode.CryptBlocks(buf[:], buf[:])
		return buf[:], nil
	})
}
