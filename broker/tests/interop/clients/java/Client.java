import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A client of the HiveMQ library as scenarios want it: calls that wait for their answer, messages in a queue. */
abstract class Client {
    /** How long anything that must come may take on a busy machine, seconds. */
    static final long PATIENCE = 20;

    /** What a client is besides its version and id. */
    static class Options {
        /** Keeps the session for so many seconds (3.1.1: for ever). */
        Long kept;
        /** Topic of the will `gone`, and its delay in seconds (5.0). */
        String will;
        long willDelay;
        /** Goes through a relay, so that the connection can be broken off, which the library has no way to do. */
        boolean breakable;
        /** Lets the library connect again by itself. */
        boolean reconnect;
        // 5.0 only.
        boolean manualAcks;
        int receiveMaximum = 65_535;
        int aliasMaximum = 0;
    }

    /** What came, whichever version brought it. */
    record Message(
            String topic, String payload, int qos, boolean retain, Properties properties, Runnable acknowledge) {}

    /** Properties of a message, of 5.0; null where there is none. */
    record Properties(
            String contentType, String responseTopic, List<Byte> correlationData, Integer payloadFormat, Long expiry,
            List<Map.Entry<String, String>> user) {
        static final Properties NONE = new Properties(null, null, null, null, null, List.of());

        static Properties expiring(long seconds) {
            return new Properties(null, null, null, null, seconds, List.of());
        }
    }

    /** A subscription; what follows the QoS is of 5.0. */
    record Filter(String topic, int qos, boolean noLocal, boolean retainAsPublished, int retainHandling) {
        static Filter of(String topic, int qos) {
            return new Filter(topic, qos, false, false, 0);
        }
    }

    final BlockingQueue<Message> messages = new LinkedBlockingQueue<>();
    /** Reasons that the server gave when a connection ended; 0 if it gave none. */
    final BlockingQueue<Integer> ends = new LinkedBlockingQueue<>();
    /** Whether a session was there before. */
    boolean present;
    /** 5.0: the client id is from the server. */
    String assignedId;
    int aliasMaximum;
    Relay relay;

    static Client connect(InetSocketAddress server, String version, String id, Options options) throws Exception {
        Client client = version.equals("5.0") ? new Client5() : new Client3();
        if (options.breakable) {
            client.relay = new Relay(server);
            server = client.relay.address();
        }
        client.open(server, id, options);
        return client;
    }

    abstract void open(InetSocketAddress server, String id, Options options) throws Exception;

    /** Waits for SUBACK. */
    abstract void subscribe(Filter filter) throws Exception;

    abstract void unsubscribe(String topic) throws Exception;

    /** What is returned is complete when what the QoS promises has come. */
    abstract CompletableFuture<?> send(String topic, String payload, int qos, boolean retain, Properties properties);

    abstract void disconnect() throws Exception;

    static <T> T inTime(CompletableFuture<T> future) throws Exception {
        return future.get(PATIENCE, TimeUnit.SECONDS);
    }

    void publish(String topic, String payload) throws Exception {
        inTime(send(topic, payload, 1, false, Properties.NONE));
    }

    void publishRetained(String topic, String payload) throws Exception {
        inTime(send(topic, payload, 1, true, Properties.NONE));
    }

    void publish(String topic, String payload, Properties properties) throws Exception {
        inTime(send(topic, payload, 1, false, properties));
    }

    /** The next message; null if none comes in time. */
    Message next(long millis) throws InterruptedException {
        return messages.poll(millis, TimeUnit.MILLISECONDS);
    }

    Message next() throws InterruptedException {
        Message message = next(PATIENCE * 1000);
        Interop.ensure(message != null, "no message in time");
        return message;
    }

    /** The next messages, which must have these payloads. */
    List<Message> expect(List<String> payloads) throws InterruptedException {
        List<Message> seen = new ArrayList<>();
        for (String payload : payloads) {
            Message message = next();
            Interop.equal(message.payload, payload, "message " + seen.size() + " on " + message.topic);
            seen.add(message);
        }
        return seen;
    }

    List<Message> expect(String... payloads) throws InterruptedException {
        return expect(List.of(payloads));
    }

    /** No message comes for so long. */
    void nothing(long millis) throws InterruptedException {
        Message message = next(millis);
        Interop.ensure(message == null, "a message came: " + message);
    }

    /** Closes the socket without a DISCONNECT. */
    void breakOff() throws Exception {
        relay.cut();
        end();
    }

    /** Waits for the end of the connection; returns the server's reason. */
    int end() throws InterruptedException {
        Integer reason = ends.poll(PATIENCE, TimeUnit.SECONDS);
        Interop.ensure(reason != null, "the connection does not end");
        return reason;
    }

    static void disconnect(Client... clients) throws Exception {
        for (Client client : clients) {
            client.disconnect();
        }
    }
}
