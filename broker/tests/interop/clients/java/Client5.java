import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt5.Mqtt5AsyncClient;
import com.hivemq.client.mqtt.mqtt5.Mqtt5Client;
import com.hivemq.client.mqtt.mqtt5.datatypes.Mqtt5UserProperties;
import com.hivemq.client.mqtt.mqtt5.datatypes.Mqtt5UserProperty;
import com.hivemq.client.mqtt.mqtt5.exceptions.Mqtt5DisconnectException;
import com.hivemq.client.mqtt.mqtt5.message.connect.Mqtt5Connect;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5PayloadFormatIndicator;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5Publish;
import com.hivemq.client.mqtt.mqtt5.message.subscribe.Mqtt5RetainHandling;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;

/** 5.0. The library makes aliases for topics of its own accord, and resolves those of the server. */
class Client5 extends Client {
    private Mqtt5AsyncClient client;

    @Override
    void open(InetSocketAddress server, String id, Options options) throws Exception {
        var builder = Mqtt5Client.builder().identifier(id).serverAddress(server)
                .addDisconnectedListener(context -> ends.add(reason(context.getCause())));
        if (options.reconnect) {
            builder = builder.automaticReconnect().initialDelay(100, TimeUnit.MILLISECONDS).applyAutomaticReconnect();
        }
        client = builder.buildAsync();
        client.publishes(MqttGlobalPublishFilter.ALL, publish -> messages.add(message(publish)), options.manualAcks);
        var connect = Mqtt5Connect.builder()
                .cleanStart(options.kept == null)
                .sessionExpiryInterval(options.kept == null ? 0 : options.kept)
                .restrictions()
                .receiveMaximum(options.receiveMaximum)
                .topicAliasMaximum(options.aliasMaximum)
                .applyRestrictions();
        if (options.will != null) {
            connect = connect.willPublish().topic(options.will).payload("gone".getBytes())
                    .qos(MqttQos.AT_LEAST_ONCE).delayInterval(options.willDelay).applyWillPublish();
        }
        var connack = inTime(client.connect(connect.build()));
        present = connack.isSessionPresent();
        assignedId = connack.getAssignedClientIdentifier().map(Object::toString).orElse(null);
        aliasMaximum = connack.getRestrictions().getTopicAliasMaximum();
    }

    private static int reason(Throwable cause) {
        if (cause instanceof Mqtt5DisconnectException said) {
            return said.getMqttMessage().getReasonCode().getCode();
        }
        return 0;
    }

    private static Message message(Mqtt5Publish publish) {
        List<Map.Entry<String, String>> user = new ArrayList<>();
        for (var property : publish.getUserProperties().asList()) {
            user.add(Map.entry(property.getName().toString(), property.getValue().toString()));
        }
        var expiry = publish.getMessageExpiryInterval();
        var properties = new Properties(
                publish.getContentType().map(Object::toString).orElse(null),
                publish.getResponseTopic().map(Object::toString).orElse(null),
                publish.getCorrelationData().map(Client5::bytes).orElse(null),
                publish.getPayloadFormatIndicator().map(Mqtt5PayloadFormatIndicator::getCode).orElse(null),
                expiry.isPresent() ? expiry.getAsLong() : null,
                user);
        return new Message(
                publish.getTopic().toString(), new String(publish.getPayloadAsBytes(), StandardCharsets.UTF_8),
                publish.getQos().getCode(), publish.isRetain(), properties, publish::acknowledge);
    }

    private static List<Byte> bytes(ByteBuffer buffer) {
        List<Byte> bytes = new ArrayList<>();
        while (buffer.hasRemaining()) {
            bytes.add(buffer.get());
        }
        return bytes;
    }

    @Override
    void subscribe(Filter filter) throws Exception {
        var suback = inTime(client.subscribeWith()
                .topicFilter(filter.topic())
                .qos(MqttQos.fromCode(filter.qos()))
                .noLocal(filter.noLocal())
                .retainAsPublished(filter.retainAsPublished())
                .retainHandling(Mqtt5RetainHandling.fromCode(filter.retainHandling()))
                .send());
        Interop.equal(suback.getReasonCodes().get(0).getCode(), filter.qos(), "SUBACK");
    }

    @Override
    void unsubscribe(String topic) throws Exception {
        inTime(client.unsubscribeWith().topicFilter(topic).send());
    }

    @Override
    CompletableFuture<?> send(String topic, String payload, int qos, boolean retain, Properties properties) {
        var publish = Mqtt5Publish.builder().topic(topic).payload(payload.getBytes(StandardCharsets.UTF_8))
                .qos(MqttQos.fromCode(qos)).retain(retain).contentType(properties.contentType())
                .responseTopic(properties.responseTopic());
        if (properties.correlationData() != null) {
            byte[] data = new byte[properties.correlationData().size()];
            for (int index = 0; index < data.length; index++) {
                data[index] = properties.correlationData().get(index);
            }
            publish = publish.correlationData(data);
        }
        if (properties.payloadFormat() != null) {
            publish = publish.payloadFormatIndicator(Mqtt5PayloadFormatIndicator.fromCode(properties.payloadFormat()));
        }
        if (properties.expiry() != null) {
            publish = publish.messageExpiryInterval(properties.expiry());
        }
        var user = Mqtt5UserProperties.builder();
        for (var property : properties.user()) {
            user = user.add(Mqtt5UserProperty.of(property.getKey(), property.getValue()));
        }
        // An acknowledgement with an error is an answer of another kind.
        return client.publish(publish.userProperties(user.build()).build()).thenApply(result -> {
            result.getError().ifPresent(error -> {
                throw new CompletionException(error);
            });
            return result;
        });
    }

    @Override
    void disconnect() throws Exception {
        inTime(client.disconnect());
    }
}
