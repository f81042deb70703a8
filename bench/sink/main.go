// The far end of every benchmark: an HTTP server that answers at once, or late, or with faults,
// and writes down what arrived. It is net/http and nothing else, so that nobody has to trust it.
//
// Every event carries a marker, bench:<user>:<number>:<created>, that survives whatever a
// contender makes of the event: 7 digits for the user, 9 for the number among that user's events
// (from 0), 16 for the time it was created in microseconds. One request may carry several.
//
// A line of the log is one request:
//
//	<arrived µs> <answered µs> <status> <bytes> <marker>,<marker>,…
//
// in order of answers; the markers are written without "bench:". `bench/judge.py` reads it.
package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	prefix       = "bench:"
	markerLength = 7 + 1 + 9 + 1 + 16
)

var okBody = []byte(`{"status":"ok","data":{}}`)

type fault struct {
	status int
	upTo   uint64 // of 2^64: the request's draw must be below
}

type sink struct {
	latency  time.Duration
	faults   []fault
	requests atomic.Uint64
	accepted atomic.Uint64 // markers answered with 200, repeated ones included
	lastUs   atomic.Int64

	lock sync.Mutex
	log  *bufio.Writer
}

var bodies = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 4096)) }}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	if r.URL.Path == "/_seen" {
		fmt.Fprintf(w, `{"requests":%d,"accepted":%d,"last_us":%d}`,
			s.requests.Load(), s.accepted.Load(), s.lastUs.Load())
		return
	}
	body := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(body)
	body.Reset()
	if _, err := io.Copy(body, r.Body); err != nil {
		return // the client went away in mid-request: nothing was accepted
	}
	status := s.draw(s.requests.Add(1))
	if s.latency > 0 {
		time.Sleep(s.latency)
	}
	s.write(arrived, time.Now(), status, body.Bytes())
	header := w.Header()
	header["Content-Type"] = []string{"application/json"}
	if status == http.StatusOK {
		w.Write(okBody)
		return
	}
	if status == http.StatusTooManyRequests {
		header["Retry-After"] = []string{"0"}
	}
	w.WriteHeader(status)
	w.Write([]byte(`{"status":"error","error":"bench"}`))
}

// draw decides by the request's number, so the share is exact in the long run and a run repeats.
func (s *sink) draw(number uint64) int {
	if len(s.faults) == 0 {
		return http.StatusOK
	}
	// SplitMix64: an even spread over 2^64 from consecutive numbers.
	x := number + 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	x ^= x >> 31
	for _, f := range s.faults {
		if x < f.upTo {
			return f.status
		}
	}
	return http.StatusOK
}

func (s *sink) write(arrived, answered time.Time, status int, body []byte) {
	var space [1024]byte
	line := strconv.AppendInt(space[:0], arrived.UnixMicro(), 10)
	line = append(line, ' ')
	line = strconv.AppendInt(line, answered.UnixMicro(), 10)
	line = append(line, ' ')
	line = strconv.AppendInt(line, int64(status), 10)
	line = append(line, ' ')
	line = strconv.AppendInt(line, int64(len(body)), 10)
	line = append(line, ' ')
	markers := uint64(0)
	for {
		at := bytes.Index(body, []byte(prefix))
		if at < 0 || len(body) < at+len(prefix)+markerLength {
			break
		}
		body = body[at+len(prefix):]
		if markers > 0 {
			line = append(line, ',')
		}
		line = append(line, body[:markerLength]...)
		markers++
	}
	line = append(line, '\n')
	if status == http.StatusOK {
		s.accepted.Add(markers)
	}
	s.lastUs.Store(answered.UnixMicro())
	if s.log != nil {
		s.lock.Lock()
		s.log.Write(line)
		s.lock.Unlock()
	}
}

func parseFaults(text string) ([]fault, error) {
	var faults []fault
	share := 0.0
	for _, part := range strings.Split(text, ",") {
		if part == "" {
			continue
		}
		var status int
		var more float64
		if _, err := fmt.Sscanf(part, "%d:%f", &status, &more); err != nil {
			return nil, fmt.Errorf("faults: %q is not status:share", part)
		}
		share += more
		if share > 0.99 {
			return nil, fmt.Errorf("faults: more than everything fails")
		}
		faults = append(faults, fault{status, uint64(share * (1 << 63) * 2)})
	}
	return faults, nil
}

// certificate makes an authority and a certificate for localhost, and leaves the authority in path.
func certificate(path string) (tls.Certificate, error) {
	authority := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "bench authority"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    authority.NotBefore,
		NotAfter:     authority.NotAfter,
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	theirs, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	ours, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, &theirs.PublicKey, theirs)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.CreateCertificate(rand.Reader, server, authority, &ours.PublicKey, theirs)
	if err != nil {
		return tls.Certificate{}, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca})
	made := tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: ours}
	return made, os.WriteFile(path, text, 0o600)
}

func main() {
	address := flag.String("address", "127.0.0.1:0", "where to listen; port 0 takes a free one")
	path := flag.String("log", "", "file for one line per request; none when empty")
	latency := flag.Duration("latency", 0, "wait before every answer")
	faults := flag.String("faults", "", "shares of failures, such as 429:0.02,500:0.01")
	ca := flag.String("tls", "", "speak TLS, and write the certificate to trust to this file")
	// One core: on a machine of two the other is the contender's, and it answers faster so.
	cores := flag.Int("cores", 1, "how many cores to use")
	flag.Parse()
	runtime.GOMAXPROCS(*cores)

	s := &sink{latency: *latency}
	var err error
	if s.faults, err = parseFaults(*faults); err != nil {
		log.Fatal(err)
	}
	if *path != "" {
		file, err := os.Create(*path)
		if err != nil {
			log.Fatal(err)
		}
		s.log = bufio.NewWriterSize(file, 1<<20)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	if *ca != "" {
		made, err := certificate(*ca)
		if err != nil {
			log.Fatal(err)
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{made}})
	}
	fmt.Printf("%s\n", listener.Addr()) // whoever started us reads this
	go func() { log.Fatal(http.Serve(listener, s)) }()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	if s.log != nil {
		s.lock.Lock()
		if err := s.log.Flush(); err != nil {
			log.Fatal(err)
		}
	}
}
