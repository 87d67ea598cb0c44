// Scenarios of MQTT 3.1 and 3.1.1 with Eclipse Paho's paho.mqtt.golang, and of 5.0 with its autopaho, against the broker
// at an address:
//
//	interop HOST:PORT [-SCENARIO...] [SCENARIO...]
//
// runs all scenarios but those with a minus, or only those named (`retained`, `5.0/retained`). Prints `ok SCENARIO` or
// `FAILED SCENARIO: why` for each; exit code 1 if any failed.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

var versions = []string{"3.1", "3.1.1", "5.0"}

// Tells runs against one broker apart.
var thisRun = fmt.Sprintf("%x", time.Now().UnixMicro()%(1<<28))

// Context is what a scenario needs: topics and clients of its own.
type Context struct {
	server, version, name string
	number                int
}

func (t *Context) topic(end string) string {
	return fmt.Sprintf("interop/%s/go/%s/%s/%s", thisRun, t.version, t.name, end)
}

func (t *Context) client(name string, options Options) *Client {
	// 3.1 allows 23 bytes.
	return connectTo(t.server, t.version, fmt.Sprintf("go%s%d%s", thisRun, t.number, name), options)
}

func (t *Context) clean(name string) *Client {
	return t.client(name, Options{})
}

// pair is a publisher, and a subscriber of a filter at QoS 1.
func (t *Context) pair(filter string) (*Client, *Client) {
	publisher, subscriber := t.clean("p"), t.clean("s")
	subscriber.subscribeTo(t.topic(filter), 1)
	return publisher, subscriber
}

func (t *Context) full() string {
	return t.version + "/" + t.name
}

// run returns whether it was passed, and the line that says so.
func (t *Context) run(scenario func(*Context)) (passed bool, line string) {
	defer func() {
		if why := recover(); why != nil {
			passed, line = false, fmt.Sprintf("FAILED %s: %v", t.full(), why)
		}
	}()
	scenario(t)
	return true, "ok " + t.full()
}

func main() {
	var without, only []string
	for _, word := range os.Args[2:] {
		if name, ok := strings.CutPrefix(word, "-"); ok {
			without = append(without, name)
		} else {
			only = append(only, word)
		}
	}
	var running sync.WaitGroup
	var mutex sync.Mutex
	failed := false
	number := 0
	for _, version := range versions {
		for _, scenario := range scenarios {
			number++
			t := &Context{os.Args[1], version, scenario.name, number}
			named := func(list []string) bool { return slices.Contains(list, t.name) || slices.Contains(list, t.full()) }
			if version < scenario.since || named(without) || len(only) > 0 && !named(only) {
				continue
			}
			running.Add(1)
			go func() {
				defer running.Done()
				passed, line := t.run(scenario.run)
				mutex.Lock()
				defer mutex.Unlock()
				fmt.Println(line)
				failed = failed || !passed
			}()
		}
	}
	running.Wait()
	if failed {
		os.Exit(1)
	}
}
