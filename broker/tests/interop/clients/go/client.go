package main

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// How long anything that must come may take on a busy machine.
const patience = 20 * time.Second

// Options are what a client is besides its version and id.
type Options struct {
	// Keeps the session for so many seconds (3.1.1: for ever) unless it is 0.
	kept uint32
	// Begins with the session that is there, though it is not kept.
	resume bool
	// The client whose state in memory goes on: the library refuses to resume a session that it knows nothing of.
	after *Client
	// Lets the library connect again by itself.
	reconnect bool
	// Topic of the will `gone`, and its delay in seconds (5.0).
	will      string
	willDelay uint32
	// 5.0 only.
	manualAcks     bool
	receiveMaximum uint16
	aliasMaximum   uint16
	// Lets the library make aliases, at most so many.
	makeAliases uint16
}

// Message is what came, whichever library brought it.
type Message struct {
	topic, payload string
	qos            byte
	retain         bool
	properties     Properties
	ack            func() error
}

// Properties of a message, of 5.0.
type Properties struct {
	contentType, responseTopic, correlationData string
	payloadFormat                               byte
	expiry                                      uint32
	identifier                                  int
	alias                                       uint16
	user                                        [][2]string
}

// Filter is a subscription with its options.
type Filter struct {
	topic                      string
	qos                        byte
	noLocal, retainAsPublished bool
	retainHandling             byte
	identifier                 int
}

// Connack is what the server said.
type Connack struct {
	present      bool
	assignedID   string
	aliasMaximum uint16
}

// library is what differs between paho.mqtt.golang and paho.golang. Every call waits for its answer.
type library interface {
	connect(server, id string, options Options, client *Client) (Connack, error)
	subscribe(Filter) error
	unsubscribe(topic string) error
	// QoS, retain and properties are those of the message.
	publish(Message) error
	disconnect() error
}

// Client does not connect again by itself unless its options say so.
type Client struct {
	library
	connack  Connack
	messages chan Message
	// The reason that the server gives when it ends the connection; 0 if it gives none.
	ends chan byte
	// Connections after the first.
	again chan bool
	// Set by the library when it has opened it.
	mutex  sync.Mutex
	socket *net.TCPConn
}

func fail(format string, values ...any) {
	panic(fmt.Sprintf(format, values...))
}

func check(err error, what string) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func ensure(met bool, format string, values ...any) {
	if !met {
		fail(format, values...)
	}
}

func connectTo(server, version, id string, options Options) *Client {
	client := &Client{messages: make(chan Message, 1000), ends: make(chan byte, 10), again: make(chan bool, 10)}
	if version == "5.0" {
		client.library = &v5{}
	} else {
		client.library = &v3{version: version}
	}
	connack, err := client.connect(server, id, options, client)
	check(err, "CONNECT")
	client.connack = connack
	return client
}

// dial opens the connection and keeps it, so that it can be broken off.
func (c *Client) dial(server string) (net.Conn, error) {
	socket, err := net.DialTimeout("tcp", server, patience)
	if err != nil {
		return nil, err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.socket = socket.(*net.TCPConn)
	return socket, nil
}

func (c *Client) subscribeTo(topic string, qos byte) {
	check(c.subscribe(Filter{topic: topic, qos: qos}), "SUBSCRIBE "+topic)
}

func (c *Client) subscribeWith(filter Filter) {
	check(c.subscribe(filter), "SUBSCRIBE "+filter.topic)
}

// send publishes at QoS 1 and waits for the acknowledgement.
func (c *Client) send(topic, payload string) {
	c.sendWith(Message{topic: topic, payload: payload, qos: 1})
}

func (c *Client) sendRetained(topic, payload string) {
	c.sendWith(Message{topic: topic, payload: payload, qos: 1, retain: true})
}

func (c *Client) sendWith(message Message) {
	check(c.publish(message), "PUBLISH "+message.topic)
}

// next returns the next message, or nil if none comes in time.
func (c *Client) next(within time.Duration) *Message {
	select {
	case message := <-c.messages:
		return &message
	case <-time.After(within):
		return nil
	}
}

// expect takes the next messages, which must have these payloads.
func (c *Client) expect(payloads ...string) []Message {
	var seen []Message
	for _, payload := range payloads {
		message := c.next(patience)
		ensure(message != nil, "no message; expected %.40q after %d", payload, len(seen))
		ensure(message.payload == payload, "%.40q on %s instead of %.40q after %d",
			message.payload, message.topic, payload, len(seen))
		seen = append(seen, *message)
	}
	return seen
}

// nothing comes for so long.
func (c *Client) nothing(within time.Duration) {
	message := c.next(within)
	ensure(message == nil, "a message came: %+v", message)
}

// breakOff ends the connection without a DISCONNECT. Libraries take an error of reading for their own doing, so theirs
// reads to the end.
func (c *Client) breakOff() {
	c.mutex.Lock()
	c.socket.CloseRead()
	c.socket.CloseWrite()
	c.mutex.Unlock()
	c.end()
}

// awaitReconnect waits until the library has connected again.
func (c *Client) awaitReconnect() {
	select {
	case <-c.again:
	case <-time.After(patience):
		fail("it does not connect again")
	}
}

// end waits for the end of the connection and returns the server's reason.
func (c *Client) end() byte {
	select {
	case reason := <-c.ends:
		return reason
	case <-time.After(patience):
		fail("the connection does not end")
		return 0
	}
}

func disconnect(clients ...*Client) {
	for _, client := range clients {
		check(client.disconnect(), "DISCONNECT")
	}
}
