package compat

// A broker of a test's own, which can be killed, and the HTTP calls that make volumes in it.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"
)

// How long anything may take.
const limit = 60 * time.Second

var listens = regexp.MustCompile(`Kafka on (\S+:\d+) and HTTP on http://(\S+:\d+)`)

type millpond struct {
	t           *testing.T
	data        string
	kafka, http string
	process     *exec.Cmd
}

// start starts the broker that MILLPOND_BIN names, on free ports and with a directory of its own, and makes in it the volume trading with
// stream taq and the topic trades.
func start(t *testing.T, partitions int) *millpond {
	t.Helper()
	if os.Getenv("MILLPOND_BIN") == "" {
		t.Skip("MILLPOND_BIN names no broker: volumes are not tested")
	}
	m := &millpond{t: t, data: t.TempDir(), kafka: "127.0.0.1:0", http: "127.0.0.1:0"}
	t.Cleanup(func() { m.kill() })
	m.launch()
	m.call("POST", "/v1/volumes", fields{"name": "trading"})
	m.call("POST", "/v1/volumes/trading/streams", fields{"name": "taq"})
	m.call("POST", "/v1/topics", fields{"name": dotted, "partitions": partitions})
	return m
}

func (m *millpond) launch() {
	m.t.Helper()
	m.process = exec.Command(os.Getenv("MILLPOND_BIN"), "serve", "--data", m.data, "--kafka", m.kafka, "--http", m.http,
		"--set", "groups.initial_rebalance_delay_ms=100ms")
	m.process.Env = append(os.Environ(), "MILLPOND_BIN=", "MILLPOND_TEST_CACHE=")
	output := must(m.process.StdoutPipe())(m.t)
	ok(m.t, m.process.Start())
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if found := listens.FindStringSubmatch(lines.Text()); found != nil {
			m.kafka, m.http = found[1], found[2]
			go io.Copy(io.Discard, output)
			return
		}
	}
	m.t.Fatal("the broker ended without having printed its addresses")
}

// kill is kill -9.
func (m *millpond) kill() {
	_ = m.process.Process.Kill()
	_ = m.process.Wait()
}

// restart starts it again on the same data and addresses.
func (m *millpond) restart() {
	m.t.Helper()
	m.kill()
	m.launch()
}

// call asks over HTTP, which must succeed; the answer's fields.
func (m *millpond) call(method, path string, body any) map[string]any {
	m.t.Helper()
	request := must(http.NewRequest(method, "http://"+m.http+path, bytes.NewReader(must(json.Marshal(body))(m.t))))(m.t)
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: limit}
	response := must(client.Do(request))(m.t)
	defer response.Body.Close()
	text := must(io.ReadAll(response.Body))(m.t)
	if response.StatusCode >= 300 {
		m.t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	fields := map[string]any{}
	if len(text) > 0 {
		ok(m.t, json.Unmarshal(text, &fields))
	}
	return fields
}

type fields = map[string]any

// place is where a topic is, and what it is called there.
type place struct{ address, name string }

// everyPlace is each address of the volume trading with each name of its topic there.
func (m *millpond) everyPlace() []place {
	m.t.Helper()
	listener := m.listen("127.0.0.1:0", "trading")
	return []place{{m.kafka, dotted}, {m.kafka, path}, {listener, short}, {listener, path}, {listener, dotted}}
}

func (m *millpond) snapshot(volume, name string) {
	m.t.Helper()
	m.call("POST", "/v1/volumes/"+volume+"/snapshots", fields{"name": name})
}

// crowd makes 1,000 snapshots of the volume trading, s0 to s999, and clones of the first 20, clone0 to clone19.
func (m *millpond) crowd() {
	m.t.Helper()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < 1000; i += 8 {
				m.snapshot("trading", fmt.Sprint("s", i))
			}
		})
	}
	all.Wait()
	for i := range 20 {
		m.clone(fmt.Sprint("trading@s", i), fmt.Sprint("clone", i))
	}
}

func (m *millpond) deleteSnapshot(volume, name string) {
	m.t.Helper()
	m.call("DELETE", "/v1/volumes/"+volume+"/snapshots/"+url.PathEscape(name), nil)
}

// restore takes a volume back; the name of the snapshot that undoes it.
func (m *millpond) restore(volume, snapshot string) string {
	m.t.Helper()
	return fmt.Sprint(m.call("POST", "/v1/volumes/"+volume+"/restore", fields{"snapshot": snapshot})["name"])
}

func (m *millpond) clone(from, name string) {
	m.t.Helper()
	m.call("POST", "/v1/clones", fields{"from": from, "name": name})
}

// listen shows a volume or a snapshot at an address, or at any free one.
func (m *millpond) listen(address, shows string) string {
	m.t.Helper()
	return fmt.Sprint(m.call("POST", "/v1/listeners", fields{"address": address, "shows": shows})["address"])
}
