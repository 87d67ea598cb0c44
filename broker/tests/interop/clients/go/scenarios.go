package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// In this time what must not come would have come.
const quiet = 500 * time.Millisecond

// For what is due after a second.
const twoSeconds = 2500 * time.Millisecond

var scenarios = []struct {
	name, since string
	run         func(*Context)
}{
	{"connect", "3.1", connects},
	{"qos0", "3.1", func(t *Context) { inOrder(t, 0) }},
	{"qos1", "3.1", func(t *Context) { inOrder(t, 1) }},
	{"qos2", "3.1", func(t *Context) { inOrder(t, 2) }},
	{"kept_session", "3.1.1", keptSession},
	{"session_expires", "5.0", sessionExpires},
	{"reconnect", "3.1.1", reconnect},
	{"will", "3.1", will},
	{"no_will", "3.1", noWill},
	{"will_delay", "5.0", willDelay},
	{"will_delay_cancelled", "5.0", willDelayCancelled},
	{"retained", "3.1", retained},
	{"retain_handling", "5.0", retainHandling},
	{"retain_as_published", "5.0", retainAsPublished},
	{"shared", "5.0", shared},
	{"properties", "5.0", properties},
	{"message_expiry", "5.0", messageExpiry},
	{"queued_message_expires", "5.0", queuedMessageExpires},
	{"subscription_identifiers", "5.0", subscriptionIdentifiers},
	{"aliases_to_server", "5.0", aliasesToServer},
	{"aliases_to_client", "5.0", aliasesToClient},
	{"take_over", "3.1", takeOver},
	{"large_payload", "3.1", largePayload},
	{"receive_maximum", "5.0", receiveMaximum},
	{"unsubscribe", "3.1", unsubscribe},
	{"no_local", "5.0", noLocal},
}

func numbers(count int) []string {
	made := make([]string, count)
	for number := range made {
		made[number] = strconv.Itoa(number)
	}
	return made
}

func flags(messages []Message) string {
	var made []bool
	for _, message := range messages {
		made = append(made, message.retain)
	}
	return fmt.Sprint(made)
}

func connects(t *Context) {
	client := t.clean("a")
	ensure(!client.connack.present, "a clean session was there before")
	disconnect(client)
	if t.version == "5.0" {
		nameless := connectTo(t.server, t.version, "", Options{})
		ensure(nameless.connack.assignedID != "", "no client id was assigned")
		disconnect(nameless)
	}
}

func inOrder(t *Context, qos byte) {
	publisher, subscriber := t.clean("p"), t.clean("s")
	subscriber.subscribeTo(t.topic("#"), qos)
	payloads := append(numbers(200), "end")
	for _, payload := range payloads {
		publisher.sendWith(Message{topic: t.topic("a"), payload: payload, qos: qos})
	}
	for _, message := range subscriber.expect(payloads...) {
		ensure(message.qos == qos, "another QoS: %+v", message)
	}
	disconnect(publisher, subscriber)
}

func keptSession(t *Context) {
	away, publisher := t.client("s", Options{kept: 60}), t.clean("p")
	ensure(!away.connack.present, "a new session was there before")
	away.subscribeTo(t.topic("q1/+"), 1)
	away.subscribeTo(t.topic("q2/+"), 2)
	disconnect(away)
	expected := map[byte][]string{}
	send := func(qos byte, payload string) {
		publisher.sendWith(Message{topic: t.topic(fmt.Sprintf("q%d/a", qos)), payload: payload, qos: qos})
		expected[qos] = append(expected[qos], payload)
	}
	for number, payload := range numbers(100) {
		send(byte(1+number%2), payload)
	}
	back := t.client("s", Options{kept: 60, after: away})
	ensure(back.connack.present, "the session is gone")
	send(1, "end")
	send(2, "end")
	// Libraries may give QoS 2 to their user at PUBREL, so the two are in order each.
	seen := map[byte][]string{}
	for range 102 {
		message := back.next(patience)
		ensure(message != nil, "a message is missing: %v", seen)
		seen[message.qos] = append(seen[message.qos], message.payload)
	}
	for qos := range expected {
		ensure(slices.Equal(seen[qos], expected[qos]), "QoS %d: %v", qos, seen[qos])
	}
	back.nothing(quiet)
	disconnect(back)
	// A clean start ends it.
	fresh := t.clean("s")
	ensure(!fresh.connack.present, "a clean start found the session")
	fresh.subscribeTo(t.topic("other"), 1)
	publisher.send(t.topic("q1/a"), "unwanted")
	publisher.send(t.topic("other"), "end")
	fresh.expect("end")
	disconnect(fresh, publisher)
}

func sessionExpires(t *Context) {
	away := t.client("s", Options{kept: 1})
	disconnect(away)
	time.Sleep(twoSeconds)
	back := t.client("s", Options{resume: true, after: away})
	ensure(!back.connack.present, "the session outlived its expiry")
	disconnect(back)
}

// reconnect is done by the library itself, after a cut.
func reconnect(t *Context) {
	client, publisher := t.client("s", Options{kept: 60, reconnect: true}), t.clean("p")
	client.subscribeTo(t.topic("a"), 1)
	client.breakOff()
	payloads := numbers(20)
	for _, payload := range payloads {
		publisher.send(t.topic("a"), payload)
	}
	client.expect(payloads...)
	client.awaitReconnect()
	client.send(t.topic("a"), "end")
	client.expect("end")
	disconnect(client, publisher)
}

func will(t *Context) {
	other, watcher := t.pair("#")
	t.client("d", Options{will: t.topic("will")}).breakOff()
	message := watcher.expect("gone")[0]
	ensure(message.topic == t.topic("will") && message.qos == 1 && !message.retain, "%+v", message)
	other.send(t.topic("end"), "end")
	watcher.expect("end")
	disconnect(other, watcher)
}

func noWill(t *Context) {
	watcher := t.clean("w")
	watcher.subscribeTo(t.topic("#"), 1)
	for _, number := range []string{"1", "2"} {
		// The same client id: what became of the connection before is known when this one is let in.
		leaving := t.client("d", Options{will: t.topic("will")})
		leaving.send(t.topic("end"), number)
		disconnect(leaving)
	}
	watcher.expect("1", "2")
	watcher.nothing(quiet)
	disconnect(watcher)
}

func willDelay(t *Context) {
	watcher := t.clean("w")
	watcher.subscribeTo(t.topic("#"), 1)
	t.client("d", Options{kept: 60, will: t.topic("will"), willDelay: 2}).breakOff()
	watcher.nothing(time.Second)
	watcher.expect("gone")
	disconnect(watcher)
}

func willDelayCancelled(t *Context) {
	watcher := t.clean("w")
	watcher.subscribeTo(t.topic("#"), 1)
	dying := t.client("d", Options{kept: 60, will: t.topic("will"), willDelay: 1})
	dying.breakOff()
	back := t.client("d", Options{kept: 60, after: dying})
	ensure(back.connack.present, "the session is gone")
	watcher.nothing(twoSeconds)
	disconnect(back, watcher)
}

func retained(t *Context) {
	// What a wildcard finds may still be on its way when something new comes, so these name their topics.
	publisher, early := t.pair("a/state")
	early.subscribeTo(t.topic("b/state"), 1)
	for _, sent := range [][2]string{{"a", "1"}, {"b", "1"}, {"a", "2"}} {
		publisher.sendRetained(t.topic(sent[0]+"/state"), sent[1])
	}
	live := early.expect("1", "1", "2")
	ensure(flags(live) == "[false false false]", "live messages with the retain flag: %v", live)
	late := t.clean("l")
	late.subscribeTo(t.topic("+/state"), 1)
	seen := map[string]string{}
	for range 2 {
		message := late.next(patience)
		ensure(message != nil && message.retain && message.qos == 1, "retained: %+v", message)
		seen[message.topic] = message.payload
	}
	ensure(seen[t.topic("a/state")] == "2" && seen[t.topic("b/state")] == "1", "retained: %v", seen)
	for topic := range seen {
		publisher.sendRetained(topic, "")
	}
	after := t.clean("f")
	after.subscribeTo(t.topic("+/state"), 1)
	publisher.send(t.topic("c/state"), "end")
	after.expect("end")
	late.expect("", "", "end")
	disconnect(publisher, early, late, after)
}

func retainHandling(t *Context) {
	publisher, subscriber := t.clean("p"), t.clean("s")
	publisher.sendRetained(t.topic("kept"), "kept")
	// Handling 0: at every subscribe; 1: at the first; 2: never.
	for _, step := range []struct {
		handling byte
		expected []string
	}{{2, nil}, {1, nil}, {0, []string{"kept"}}, {0, []string{"kept"}}} {
		subscriber.subscribeWith(Filter{topic: t.topic("+"), qos: 1, retainHandling: step.handling})
		subscriber.expect(step.expected...)
		subscriber.nothing(quiet)
	}
	check(subscriber.unsubscribe(t.topic("+")), "UNSUBSCRIBE")
	subscriber.subscribeWith(Filter{topic: t.topic("+"), qos: 1, retainHandling: 1})
	subscriber.expect("kept")
	publisher.sendRetained(t.topic("kept"), "")
	disconnect(publisher, subscriber)
}

func retainAsPublished(t *Context) {
	publisher, without, with := t.clean("p"), t.clean("a"), t.clean("b")
	without.subscribeTo(t.topic("kept"), 1)
	with.subscribeWith(Filter{topic: t.topic("kept"), qos: 1, retainAsPublished: true})
	publisher.sendRetained(t.topic("kept"), "1")
	publisher.send(t.topic("kept"), "2")
	publisher.sendRetained(t.topic("kept"), "")
	seen := flags(without.expect("1", "2", "")) + flags(with.expect("1", "2", ""))
	ensure(seen == "[false false false][true false true]", "%s", seen)
	disconnect(publisher, without, with)
}

func shared(t *Context) {
	publisher, members := t.clean("p"), []*Client{t.clean("a"), t.clean("b")}
	for _, member := range members {
		member.subscribeTo("$share/group/"+t.topic("#"), 1)
	}
	for number, payload := range numbers(100) {
		publisher.send(t.topic(strconv.Itoa(number%7)), payload)
	}
	var seen []string
	for _, member := range members {
		before := len(seen)
		for message := member.next(quiet); message != nil; message = member.next(quiet) {
			seen = append(seen, message.payload)
		}
		ensure(len(seen) > before, "one member has got nothing")
	}
	expected := numbers(100)
	slices.Sort(expected)
	slices.Sort(seen)
	ensure(slices.Equal(seen, expected), "%v", seen)
	disconnect(publisher)
	disconnect(members...)
}

func properties(t *Context) {
	publisher, subscriber := t.pair("a")
	var data strings.Builder
	for value := range 256 {
		data.WriteByte(byte(value))
	}
	sent := Properties{
		contentType:     "text/plain",
		responseTopic:   t.topic("answer"),
		correlationData: data.String(),
		payloadFormat:   1,
		user:            [][2]string{{"b", "1"}, {"a", "2"}, {"b", "1"}, {"ä", ""}},
	}
	publisher.sendWith(Message{topic: t.topic("a"), payload: "with", qos: 1, properties: sent})
	publisher.send(t.topic("a"), "without")
	seen := subscriber.expect("with", "without")
	got, expected := fmt.Sprintf("%q", seen[0].properties), fmt.Sprintf("%q", sent)
	ensure(got == expected, "%s instead of %s", got, expected)
	got, expected = fmt.Sprintf("%q", seen[1].properties), fmt.Sprintf("%q", Properties{})
	ensure(got == expected, "properties from nowhere: %s", got)
	disconnect(publisher, subscriber)
}

func expiring(topic, payload string, seconds uint32) Message {
	return Message{topic: topic, payload: payload, qos: 1, properties: Properties{expiry: seconds}}
}

func messageExpiry(t *Context) {
	publisher, subscriber := t.pair("a")
	publisher.sendWith(expiring(t.topic("a"), "1", 60))
	left := subscriber.expect("1")[0].properties.expiry
	ensure(left >= 50 && left <= 60, "%d seconds left", left)
	disconnect(publisher, subscriber)
}

func queuedMessageExpires(t *Context) {
	away, publisher := t.client("s", Options{kept: 60}), t.clean("p")
	away.subscribeTo(t.topic("a"), 1)
	disconnect(away)
	publisher.sendWith(expiring(t.topic("a"), "short", 1))
	publisher.sendWith(expiring(t.topic("a"), "long", 60))
	time.Sleep(twoSeconds)
	back := t.client("s", Options{resume: true, after: away})
	ensure(back.connack.present, "the session is gone")
	left := back.expect("long")[0].properties.expiry
	ensure(left >= 50 && left < 60, "%d seconds left", left)
	disconnect(publisher, back)
}

// subscriptionIdentifiers: the library shows one for each message, so no two subscriptions overlap.
func subscriptionIdentifiers(t *Context) {
	publisher, subscriber := t.clean("p"), t.clean("s")
	for topic, identifier := range map[string]int{"a": 1, "b": 268_435_455} {
		subscriber.subscribeWith(Filter{topic: t.topic(topic), qos: 1, identifier: identifier})
		publisher.send(t.topic(topic), topic)
		seen := subscriber.expect(topic)[0].properties.identifier
		ensure(seen == identifier, "%d instead of %d", seen, identifier)
	}
	disconnect(publisher, subscriber)
}

func aliasesToServer(t *Context) {
	subscriber := t.clean("s")
	subscriber.subscribeTo(t.topic("+"), 1)
	publisher := t.client("p", Options{makeAliases: 5})
	ensure(publisher.connack.aliasMaximum >= 5, "the server takes %d aliases", publisher.connack.aliasMaximum)
	for number, payload := range numbers(50) {
		topic := t.topic(strconv.Itoa(number % 5))
		publisher.send(topic, payload)
		message := subscriber.expect(payload)[0]
		ensure(message.topic == topic && message.properties.alias == 0, "%+v", message)
	}
	disconnect(publisher, subscriber)
}

// aliasesToClient: a server may use aliases up to the announced maximum.
func aliasesToClient(t *Context) {
	publisher, subscriber := t.clean("p"), t.client("s", Options{aliasMaximum: 3})
	subscriber.subscribeTo(t.topic("+"), 1)
	for number, payload := range numbers(70) {
		topic := t.topic(strconv.Itoa(number % 7))
		publisher.send(topic, payload)
		message := subscriber.expect(payload)[0]
		ensure(message.topic == topic && message.properties.alias <= 3, "%+v instead of %s", message, topic)
	}
	disconnect(publisher, subscriber)
}

func takeOver(t *Context) {
	first := t.clean("a")
	second := t.clean("a")
	reason := first.end()
	ensure(t.version != "5.0" || reason == 0x8e, "reason %#x", reason)
	second.subscribeTo(t.topic("a"), 1)
	second.send(t.topic("a"), "still here")
	second.expect("still here")
	disconnect(second)
}

func largePayload(t *Context) {
	client := t.clean("a")
	text := strings.Join(numbers(50_000), ",")
	ensure(len(text) > 200_000, "%d bytes", len(text))
	for qos := range byte(3) {
		topic := t.topic(strconv.Itoa(int(qos)))
		client.subscribeTo(topic, qos)
		client.sendWith(Message{topic: topic, payload: text, qos: qos})
		message := client.next(patience)
		ensure(message != nil && message.payload == text, "QoS %d: another payload", qos)
	}
	disconnect(client)
}

// receiveMaximum: three messages are on their way; the second comes when the first is acknowledged.
func receiveMaximum(t *Context) {
	publisher, slow := t.clean("p"), t.client("s", Options{manualAcks: true, receiveMaximum: 1})
	slow.subscribeTo(t.topic("a"), 1)
	for _, payload := range numbers(3) {
		publisher.send(t.topic("a"), payload)
	}
	for _, payload := range numbers(3) {
		message := slow.expect(payload)[0]
		slow.nothing(quiet)
		check(message.ack(), "PUBACK")
	}
	disconnect(publisher, slow)
}

func unsubscribe(t *Context) {
	client := t.clean("a")
	client.subscribeTo(t.topic("a"), 1)
	client.subscribeTo(t.topic("b"), 1)
	client.send(t.topic("a"), "1")
	client.expect("1")
	check(client.unsubscribe(t.topic("a")), "UNSUBSCRIBE")
	client.send(t.topic("a"), "2")
	client.send(t.topic("b"), "end")
	client.expect("end")
	disconnect(client)
}

func noLocal(t *Context) {
	own, other := t.clean("a"), t.clean("b")
	own.subscribeWith(Filter{topic: t.topic("a"), qos: 1, noLocal: true})
	own.send(t.topic("a"), "own")
	other.send(t.topic("a"), "other")
	own.expect("other")
	disconnect(own, other)
}
