import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

/** The scenarios, a method each, and what they need: topics and clients of their own. */
class Scenarios {
    /** In this time what must not come would have come, milliseconds. */
    private static final long QUIET = 500;
    /** For what is due after a second, milliseconds. */
    private static final long TWO_SECONDS = 2500;

    private static final String RUN = Long.toString(System.nanoTime() % (1L << 31), 36);

    private final InetSocketAddress server;
    private final String version;
    private final String name;

    Scenarios(InetSocketAddress server, String version, String name) {
        this.server = server;
        this.version = version;
        this.name = name;
    }

    private String topic(String end) {
        return "interop/" + RUN + "/java/" + version + "/" + name + "/" + end;
    }

    private Client client(String id, Client.Options options) throws Exception {
        return Client.connect(server, version, "java/" + RUN + "/" + version + "/" + name + "/" + id, options);
    }

    private Client clean(String id) throws Exception {
        return client(id, new Client.Options());
    }

    /** Its session is kept for so many seconds (5.0), or for ever. */
    private Client kept(String id, long seconds) throws Exception {
        var options = new Client.Options();
        options.kept = seconds;
        return client(id, options);
    }

    private Client subscriber(String id, String end) throws Exception {
        Client client = clean(id);
        client.subscribe(Client.Filter.of(topic(end), 1));
        return client;
    }

    private static List<String> numbers(int count) {
        return new ArrayList<>(IntStream.range(0, count).mapToObj(String::valueOf).toList());
    }

    private static List<Boolean> flags(List<Client.Message> messages) {
        return messages.stream().map(Client.Message::retain).toList();
    }

    void connect() throws Exception {
        Client client = clean("a");
        Interop.ensure(!client.present, "a clean session was there before");
        client.disconnect();
        if (version.equals("5.0")) {
            Client nameless = Client.connect(server, version, "", new Client.Options());
            Interop.ensure(nameless.assignedId != null, "no client id was assigned");
            nameless.disconnect();
        }
    }

    private void inOrder(int qos) throws Exception {
        Client publisher = clean("p");
        Client subscriber = clean("s");
        subscriber.subscribe(Client.Filter.of(topic("#"), qos));
        List<String> payloads = numbers(200);
        List<CompletableFuture<?>> sent = new ArrayList<>();
        for (String payload : payloads) {
            sent.add(publisher.send(topic("a"), payload, qos, false, Client.Properties.NONE));
        }
        for (var message : subscriber.expect(payloads)) {
            Interop.equal(message.qos(), qos, "QoS");
        }
        for (var future : sent) {
            Client.inTime(future);
        }
        publisher.publish(topic("a"), "end");
        subscriber.expect("end");
        Client.disconnect(publisher, subscriber);
    }

    void qos0() throws Exception {
        inOrder(0);
    }

    void qos1() throws Exception {
        inOrder(1);
    }

    void qos2() throws Exception {
        inOrder(2);
    }

    void kept_session() throws Exception {
        Client away = kept("s", 60);
        Client publisher = clean("p");
        Interop.ensure(!away.present, "a new session was there before");
        away.subscribe(Client.Filter.of(topic("q1/+"), 1));
        away.subscribe(Client.Filter.of(topic("q2/+"), 2));
        away.disconnect();
        Map<Integer, List<String>> expected = new TreeMap<>(Map.of(1, new ArrayList<>(), 2, new ArrayList<>()));
        Map<Integer, List<String>> seen = new TreeMap<>(Map.of(1, new ArrayList<>(), 2, new ArrayList<>()));
        List<String> payloads = numbers(100);
        for (String payload : payloads) {
            int qos = 1 + Integer.parseInt(payload) % 2;
            Client.inTime(publisher.send(topic("q" + qos + "/a"), payload, qos, false, Client.Properties.NONE));
            expected.get(qos).add(payload);
        }
        Client back = kept("s", 60);
        Interop.ensure(back.present, "the session is gone");
        for (int qos : expected.keySet()) {
            Client.inTime(publisher.send(topic("q" + qos + "/a"), "end", qos, false, Client.Properties.NONE));
            expected.get(qos).add("end");
        }
        // Libraries may give QoS 2 to their user at PUBREL, so the two are in order each.
        for (int count = 0; count < payloads.size() + 2; count++) {
            var message = back.next();
            seen.get(message.qos()).add(message.payload());
        }
        Interop.equal(seen, expected, "messages by QoS");
        back.nothing(QUIET);
        back.disconnect();
        // A clean start ends it.
        Client fresh = clean("s");
        Interop.ensure(!fresh.present, "a clean start found the session");
        fresh.subscribe(Client.Filter.of(topic("other"), 1));
        publisher.publish(topic("q1/a"), "unwanted");
        publisher.publish(topic("other"), "end");
        fresh.expect("end");
        Client.disconnect(fresh, publisher);
    }

    void session_expires() throws Exception {
        kept("s", 1).disconnect();
        Thread.sleep(TWO_SECONDS);
        Client back = kept("s", 0);
        Interop.ensure(!back.present, "the session outlived its expiry");
        back.disconnect();
    }

    /** By the library itself, after a cut. */
    void reconnect() throws Exception {
        var options = new Client.Options();
        options.breakable = true;
        options.reconnect = true;
        options.kept = 60L;
        Client client = client("s", options);
        Client publisher = clean("p");
        client.subscribe(Client.Filter.of(topic("a"), 1));
        client.breakOff();
        for (String payload : numbers(20)) {
            publisher.publish(topic("a"), payload);
        }
        client.expect(numbers(20));
        client.publish(topic("a"), "end");
        client.expect("end");
        Client.disconnect(client, publisher);
    }

    /** A client with the will `gone`, whose session is kept if there is a delay (seconds). */
    private Client mortal(long delay) throws Exception {
        var options = new Client.Options();
        options.breakable = true;
        options.will = topic("will");
        options.willDelay = delay;
        options.kept = delay > 0 ? 60L : null;
        return client("d", options);
    }

    void will() throws Exception {
        Client watcher = subscriber("w", "#");
        Client other = clean("o");
        mortal(0).breakOff();
        var message = watcher.expect("gone").get(0);
        Interop.ensure(message.topic().equals(topic("will")) && message.qos() == 1 && !message.retain(), "" + message);
        other.publish(topic("end"), "end");
        watcher.expect("end");
        Client.disconnect(other, watcher);
    }

    void no_will() throws Exception {
        Client watcher = subscriber("w", "#");
        for (String number : List.of("1", "2")) {
            // The same client id: what became of the connection before is known when this one is let in.
            Client leaving = mortal(0);
            leaving.publish(topic("end"), number);
            leaving.disconnect();
        }
        watcher.expect("1", "2");
        watcher.nothing(QUIET);
        watcher.disconnect();
    }

    void will_delay() throws Exception {
        Client watcher = subscriber("w", "#");
        mortal(2).breakOff();
        watcher.nothing(1000);
        watcher.expect("gone");
        watcher.disconnect();
    }

    void will_delay_cancelled() throws Exception {
        Client watcher = subscriber("w", "#");
        mortal(1).breakOff();
        Client back = kept("d", 60);
        Interop.ensure(back.present, "the session is gone");
        watcher.nothing(TWO_SECONDS);
        Client.disconnect(back, watcher);
    }

    void retained() throws Exception {
        Client publisher = clean("p");
        // What a wildcard finds may still be on its way when something new comes, so these name their topics.
        Client early = subscriber("e", "a/state");
        early.subscribe(Client.Filter.of(topic("b/state"), 1));
        publisher.publishRetained(topic("a/state"), "1");
        publisher.publishRetained(topic("b/state"), "1");
        publisher.publishRetained(topic("a/state"), "2");
        Interop.equal(flags(early.expect("1", "1", "2")), List.of(false, false, false), "retain flags of live messages");
        Client late = subscriber("l", "+/state");
        Map<String, String> seen = new TreeMap<>();
        for (int count = 0; count < 2; count++) {
            var message = late.next();
            Interop.ensure(message.retain() && message.qos() == 1, "retained: " + message);
            seen.put(message.topic(), message.payload());
        }
        Interop.equal(seen, Map.of(topic("a/state"), "2", topic("b/state"), "1"), "retained");
        for (String topic : seen.keySet()) {
            publisher.publishRetained(topic, "");
        }
        Client after = subscriber("f", "+/state");
        publisher.publish(topic("c/state"), "end");
        after.expect("end");
        late.expect("", "", "end");
        Client.disconnect(publisher, early, late, after);
    }

    void retain_handling() throws Exception {
        Client publisher = clean("p");
        Client subscriber = clean("s");
        publisher.publishRetained(topic("kept"), "kept");
        // Handling 0: at every subscribe; 1: at the first; 2: never.
        for (int handling : new int[] {2, 1, 0, 0}) {
            subscriber.subscribe(new Client.Filter(topic("+"), 1, false, false, handling));
            subscriber.expect(handling == 0 ? List.of("kept") : List.of());
            subscriber.nothing(QUIET);
        }
        subscriber.unsubscribe(topic("+"));
        subscriber.subscribe(new Client.Filter(topic("+"), 1, false, false, 1));
        subscriber.expect("kept");
        publisher.publishRetained(topic("kept"), "");
        Client.disconnect(publisher, subscriber);
    }

    void retain_as_published() throws Exception {
        Client publisher = clean("p");
        Client without = subscriber("a", "kept");
        Client with = clean("b");
        with.subscribe(new Client.Filter(topic("kept"), 1, false, true, 0));
        publisher.publishRetained(topic("kept"), "1");
        publisher.publish(topic("kept"), "2");
        publisher.publishRetained(topic("kept"), "");
        Interop.equal(flags(without.expect("1", "2", "")), List.of(false, false, false), "flags without");
        Interop.equal(flags(with.expect("1", "2", "")), List.of(true, false, true), "flags as published");
        Client.disconnect(publisher, without, with);
    }

    void shared() throws Exception {
        Client publisher = clean("p");
        Client[] members = {clean("a"), clean("b")};
        for (Client member : members) {
            member.subscribe(Client.Filter.of("$share/group/" + topic("#"), 1));
        }
        for (String payload : numbers(100)) {
            publisher.publish(topic("" + Integer.parseInt(payload) % 7), payload);
        }
        List<Integer> seen = new ArrayList<>();
        for (Client member : members) {
            int before = seen.size();
            for (var message = member.next(QUIET); message != null; message = member.next(QUIET)) {
                seen.add(Integer.parseInt(message.payload()));
            }
            Interop.ensure(seen.size() > before, "one member has got nothing");
        }
        Interop.equal(seen.stream().sorted().toList(), IntStream.range(0, 100).boxed().toList(), "messages");
        publisher.disconnect();
        Client.disconnect(members);
    }

    void properties() throws Exception {
        Client publisher = clean("p");
        Client subscriber = subscriber("s", "a");
        var user = List.of(Map.entry("b", "1"), Map.entry("a", "2"), Map.entry("b", "1"), Map.entry("ä", ""));
        var data = IntStream.range(0, 256).mapToObj(value -> (byte) value).toList();
        var sent = new Client.Properties("text/plain", topic("answer"), data, 1, null, user);
        publisher.publish(topic("a"), "with", sent);
        publisher.publish(topic("a"), "without");
        var seen = subscriber.expect("with", "without");
        Interop.equal(seen.get(0).properties(), sent, "properties");
        Interop.equal(seen.get(1).properties(), Client.Properties.NONE, "properties from nowhere");
        Client.disconnect(publisher, subscriber);
    }

    void message_expiry() throws Exception {
        Client publisher = clean("p");
        Client subscriber = subscriber("s", "a");
        publisher.publish(topic("a"), "1", Client.Properties.expiring(60));
        Long left = subscriber.expect("1").get(0).properties().expiry();
        Interop.ensure(left != null && left >= 50 && left <= 60, left + " seconds left");
        Client.disconnect(publisher, subscriber);
    }

    void queued_message_expires() throws Exception {
        Client away = kept("s", 60);
        Client publisher = clean("p");
        away.subscribe(Client.Filter.of(topic("a"), 1));
        away.disconnect();
        publisher.publish(topic("a"), "short", Client.Properties.expiring(1));
        publisher.publish(topic("a"), "long", Client.Properties.expiring(60));
        Thread.sleep(TWO_SECONDS);
        Client back = kept("s", 0);
        Interop.ensure(back.present, "the session is gone");
        Long left = back.expect("long").get(0).properties().expiry();
        Interop.ensure(left != null && left >= 50 && left < 60, left + " seconds left");
        Client.disconnect(publisher, back);
    }

    void aliases_to_server() throws Exception {
        Client subscriber = subscriber("s", "+");
        Client publisher = clean("p");
        Interop.ensure(publisher.aliasMaximum > 0, "the server takes no aliases");
        aliases(publisher, subscriber, 30);
    }

    /** A server may use aliases up to the announced maximum. */
    void aliases_to_client() throws Exception {
        var options = new Client.Options();
        options.aliasMaximum = 3;
        Client subscriber = client("s", options);
        subscriber.subscribe(Client.Filter.of(topic("+"), 1));
        aliases(clean("p"), subscriber, 7);
    }

    private void aliases(Client publisher, Client subscriber, int topics) throws Exception {
        for (String payload : numbers(10 * topics)) {
            String topic = topic("" + Integer.parseInt(payload) % topics);
            publisher.publish(topic, payload);
            Interop.equal(subscriber.expect(payload).get(0).topic(), topic, "topic");
        }
        Client.disconnect(publisher, subscriber);
    }

    void take_over() throws Exception {
        Client first = clean("a");
        Client second = clean("a");
        int reason = first.end();
        Interop.ensure(version.equals("3.1.1") || reason == 0x8e, "reason " + reason);
        second.subscribe(Client.Filter.of(topic("a"), 1));
        second.publish(topic("a"), "still here");
        second.expect("still here");
        second.disconnect();
    }

    void large_payload() throws Exception {
        Client client = clean("a");
        String text = String.join(",", numbers(50_000));
        Interop.ensure(text.length() > 200_000, "too short");
        for (int qos = 0; qos <= 2; qos++) {
            client.subscribe(Client.Filter.of(topic("" + qos), qos));
            Client.inTime(client.send(topic("" + qos), text, qos, false, Client.Properties.NONE));
            String seen = client.next().payload();
            Interop.ensure(seen.equals(text), "QoS " + qos + ": " + seen.length() + " bytes");
        }
        client.disconnect();
    }

    /** Three messages are on their way; the second comes when the first is acknowledged. */
    void receive_maximum() throws Exception {
        var options = new Client.Options();
        options.manualAcks = true;
        options.receiveMaximum = 1;
        Client publisher = clean("p");
        Client slow = client("s", options);
        slow.subscribe(Client.Filter.of(topic("a"), 1));
        for (String payload : numbers(3)) {
            publisher.publish(topic("a"), payload);
        }
        for (String payload : numbers(3)) {
            var message = slow.expect(payload).get(0);
            slow.nothing(QUIET);
            message.acknowledge().run();
        }
        Client.disconnect(publisher, slow);
    }

    void unsubscribe() throws Exception {
        Client client = clean("a");
        client.subscribe(Client.Filter.of(topic("a"), 1));
        client.subscribe(Client.Filter.of(topic("b"), 1));
        client.publish(topic("a"), "1");
        client.expect("1");
        client.unsubscribe(topic("a"));
        client.publish(topic("a"), "2");
        client.publish(topic("b"), "end");
        client.expect("end");
        client.disconnect();
    }

    void no_local() throws Exception {
        Client own = clean("a");
        Client other = clean("b");
        own.subscribe(new Client.Filter(topic("a"), 1, true, false, 0));
        own.publish(topic("a"), "own");
        other.publish(topic("a"), "other");
        own.expect("other");
        Client.disconnect(own, other);
    }
}
