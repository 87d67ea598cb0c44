import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt3.Mqtt3AsyncClient;
import com.hivemq.client.mqtt.mqtt3.Mqtt3Client;
import com.hivemq.client.mqtt.mqtt3.message.connect.Mqtt3Connect;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** 3.1.1. */
class Client3 extends Client {
    private Mqtt3AsyncClient client;

    @Override
    void open(InetSocketAddress server, String id, Options options) throws Exception {
        var builder = Mqtt3Client.builder().identifier(id).serverAddress(server)
                .addDisconnectedListener(context -> ends.add(0));
        if (options.reconnect) {
            builder = builder.automaticReconnect().initialDelay(100, TimeUnit.MILLISECONDS).applyAutomaticReconnect();
        }
        client = builder.buildAsync();
        client.publishes(MqttGlobalPublishFilter.ALL, publish -> messages.add(new Message(
                publish.getTopic().toString(), new String(publish.getPayloadAsBytes(), StandardCharsets.UTF_8),
                publish.getQos().getCode(), publish.isRetain(), Properties.NONE, publish::acknowledge)));
        var connect = Mqtt3Connect.builder().cleanSession(options.kept == null);
        if (options.will != null) {
            connect = connect.willPublish().topic(options.will).payload("gone".getBytes())
                    .qos(MqttQos.AT_LEAST_ONCE).applyWillPublish();
        }
        present = inTime(client.connect(connect.build())).isSessionPresent();
    }

    @Override
    void subscribe(Filter filter) throws Exception {
        var suback = inTime(client.subscribeWith().topicFilter(filter.topic()).qos(MqttQos.fromCode(filter.qos())).send());
        Interop.equal(suback.getReturnCodes().get(0).getCode(), filter.qos(), "SUBACK");
    }

    @Override
    void unsubscribe(String topic) throws Exception {
        inTime(client.unsubscribeWith().topicFilter(topic).send());
    }

    @Override
    CompletableFuture<?> send(String topic, String payload, int qos, boolean retain, Properties properties) {
        return client.publishWith().topic(topic).payload(payload.getBytes(StandardCharsets.UTF_8))
                .qos(MqttQos.fromCode(qos)).retain(retain).send();
    }

    @Override
    void disconnect() throws Exception {
        inTime(client.disconnect());
    }
}
