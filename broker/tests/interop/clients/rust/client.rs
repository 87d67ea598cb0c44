//! A client of rumqttc, v4 or v5, as scenarios want it: calls that wait for their answer, messages in a queue.

use crate::scenarios::Version;
use rumqttc::{QoS, v5};
use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use v5::mqttbytes::QoS as QoS5;
use v5::mqttbytes::v5::{
    DisconnectReasonCode, Filter, LastWill, LastWillProperties, PublishProperties, SubscribeProperties,
    SubscribeReasonCode,
};

/// How long anything that must come may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Requests to the library that wait for its loop.
const REQUESTS: usize = 300;
/// Longest packet in and out; the library's default is 10 KiB.
const PACKET_MAX: u32 = 1 << 20;

/// What a client is, besides its version and id.
#[derive(Default)]
pub struct Options {
    /// Keeps the session for so many seconds (3.1.1: for ever); otherwise it is clean.
    pub kept: Option<u32>,
    /// Topic of the will `gone`, and its delay in seconds (5.0).
    pub will: Option<(String, Option<u32>)>,
    pub manual_acks: bool,
    pub receive_maximum: Option<u16>,
    pub topic_alias_max: Option<u16>,
}

#[derive(Debug)]
pub struct Message {
    pub topic: String,
    pub payload: String,
    pub qos: u8,
    pub retain: bool,
    /// In 5.0, properties and all.
    pub packet: Option<v5::mqttbytes::v5::Publish>,
}

impl Message {
    pub fn properties(&self) -> PublishProperties {
        self.packet.as_ref().and_then(|packet| packet.properties.clone()).unwrap_or_default()
    }
}

/// What CONNACK says.
#[derive(Debug, Default)]
pub struct Connack {
    /// Whether a session was there before.
    pub present: bool,
    /// The client id that the server has made, if it has.
    pub assigned_id: Option<String>,
    pub topic_alias_max: u16,
}

/// What the loop of a client reports besides messages.
#[derive(Debug)]
enum Reply {
    Connected(Connack),
    Acknowledged,
    Granted(Option<u8>),
    Unsubscribed,
}

enum Api {
    V4(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

/// A connection; its socket is closed when it is dropped.
pub struct Client {
    api: Api,
    messages: UnboundedReceiver<Message>,
    replies: UnboundedReceiver<Reply>,
    /// Ends with the connection, with the reason that the server gave.
    task: JoinHandle<Option<DisconnectReasonCode>>,
    cut: Arc<Notify>,
    pub connack: Connack,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn in_time<T>(what: impl Debug, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("no {what:?} in time"))
}

fn number(qos: QoS5) -> u8 {
    qos as u8
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("our topics and payloads are text")
}

fn qos5(qos: u8) -> QoS5 {
    [QoS5::AtMostOnce, QoS5::AtLeastOnce, QoS5::ExactlyOnce][usize::from(qos)]
}

fn qos4(qos: u8) -> QoS {
    rumqttc::qos(qos).expect("0 to 2")
}

impl Client {
    /// Connects.
    pub async fn connect(server: SocketAddr, version: Version, id: &str, options: Options) -> Client {
        let (messages, message_queue) = unbounded_channel();
        let (replies, reply_queue) = unbounded_channel();
        let cut = Arc::new(Notify::new());
        let line = Line { messages, replies, cut: Arc::clone(&cut) };
        let (api, task) = if version == Version::V5 {
            let (client, events) = v5::AsyncClient::new(options_of_v5(server, id, options), REQUESTS);
            (Api::V5(client), tokio::spawn(drive_v5(events, line)))
        } else {
            let (client, events) = rumqttc::AsyncClient::new(options_of_v4(server, id, options), REQUESTS);
            (Api::V4(client), tokio::spawn(drive_v4(events, line)))
        };
        let connack = Connack::default();
        let mut client = Client { api, messages: message_queue, replies: reply_queue, task, cut, connack };
        let Reply::Connected(connack) = client.reply("CONNACK").await else {
            panic!("something else before CONNACK")
        };
        client.connack = connack;
        client
    }

    async fn reply(&mut self, what: &str) -> Reply {
        in_time(what, self.replies.recv())
            .await
            .unwrap_or_else(|| panic!("the connection ended before {what}"))
    }

    pub async fn subscribe(&mut self, topic: &str, qos: u8) {
        self.subscribe_with(Filter::new(topic, qos5(qos)), None).await;
    }

    /// With options and an identifier (5.0).
    pub async fn subscribe_with(&mut self, filter: Filter, id: Option<usize>) {
        let wanted = number(filter.qos);
        let topic = filter.path.clone();
        match &self.api {
            Api::V4(client) => client.subscribe(&topic, qos4(wanted)).await.expect("room"),
            Api::V5(client) => {
                let properties = SubscribeProperties { id, user_properties: Vec::new() };
                client.subscribe_many_with_properties([filter], properties).await.expect("room");
            }
        }
        match self.reply("SUBACK").await {
            Reply::Granted(Some(qos)) if qos == wanted => {}
            other => panic!("SUBACK for {topic} at QoS {wanted}: {other:?}"),
        }
    }

    pub async fn unsubscribe(&mut self, topic: &str) {
        match &self.api {
            Api::V4(client) => client.unsubscribe(topic).await.expect("room"),
            Api::V5(client) => client.unsubscribe(topic).await.expect("room"),
        }
        let reply = self.reply("UNSUBACK").await;
        assert!(matches!(reply, Reply::Unsubscribed), "{reply:?}");
    }

    /// Hands a message to the library's loop.
    pub async fn send(&mut self, topic: &str, payload: &str, qos: u8, retain: bool) {
        match &self.api {
            Api::V4(client) => client.publish(topic, qos4(qos), retain, payload).await.expect("room"),
            Api::V5(client) => {
                client.publish(topic, qos5(qos), retain, payload.to_owned()).await.expect("room");
            }
        }
    }

    /// Waits for so many acknowledgements.
    pub async fn acknowledged(&mut self, count: usize) {
        for _ in 0..count {
            let reply = self.reply("acknowledgement").await;
            assert!(matches!(reply, Reply::Acknowledged), "{reply:?}");
        }
    }

    /// Publishes at QoS 1 and waits for the acknowledgement.
    pub async fn publish(&mut self, topic: &str, payload: &str) {
        self.send(topic, payload, 1, false).await;
        self.acknowledged(1).await;
    }

    pub async fn publish_retained(&mut self, topic: &str, payload: &str) {
        self.send(topic, payload, 1, true).await;
        self.acknowledged(1).await;
    }

    /// Publishes at QoS 1 with properties (5.0) and waits for the acknowledgement.
    pub async fn publish_with(&mut self, topic: &str, payload: &str, properties: PublishProperties) {
        let Api::V5(client) = &self.api else { panic!("properties before 5.0") };
        let payload = payload.to_owned();
        let sent = client.publish_with_properties(topic, QoS5::AtLeastOnce, false, payload, properties);
        sent.await.expect("room");
        self.acknowledged(1).await;
    }

    pub async fn next(&mut self) -> Message {
        in_time("message", self.messages.recv()).await.expect("the connection goes on")
    }

    /// The next message, if one comes within this time.
    pub async fn next_within(&mut self, time: Duration) -> Option<Message> {
        timeout(time, self.messages.recv()).await.ok().flatten()
    }

    /// The next messages, which must have these payloads.
    pub async fn expect(&mut self, payloads: &[&str]) -> Vec<Message> {
        let mut seen = Vec::new();
        for payload in payloads {
            let message = self.next().await;
            assert_eq!(message.payload, *payload, "message {} on {}", seen.len(), message.topic);
            seen.push(message);
        }
        seen
    }

    /// No message comes for so long.
    pub async fn nothing(&mut self, time: Duration) {
        let message = self.next_within(time).await;
        assert!(message.is_none(), "a message came: {message:?}");
    }

    /// Acknowledges a message of a client with `manual_acks` (5.0).
    pub async fn ack(&mut self, message: &Message) {
        let (Api::V5(client), Some(packet)) = (&self.api, &message.packet) else { panic!("before 5.0") };
        client.ack(packet).await.expect("room");
    }

    /// Closes the socket, after which the library connects again; returns what the server says then.
    pub async fn cut(&mut self) -> Connack {
        self.cut.notify_one();
        match self.reply("CONNACK").await {
            Reply::Connected(connack) => connack,
            other => panic!("{other:?} instead of CONNACK"),
        }
    }

    /// Closes the socket without a DISCONNECT.
    pub async fn break_off(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Waits for the end of the connection; returns the server's reason, if it gave one.
    pub async fn end(mut self) -> Option<DisconnectReasonCode> {
        in_time("end of the connection", &mut self.task).await.expect("it is not aborted")
    }

    /// Says goodbye, after which the server closes.
    pub async fn disconnect(self) {
        match &self.api {
            Api::V4(client) => client.disconnect().await.expect("room"),
            Api::V5(client) => client.disconnect().await.expect("room"),
        }
        assert_eq!(self.end().await, None, "a clean end");
    }
}

fn options_of_v4(server: SocketAddr, id: &str, options: Options) -> rumqttc::MqttOptions {
    let mut made = rumqttc::MqttOptions::new(id, server.ip().to_string(), server.port());
    made.set_clean_session(options.kept.is_none()).set_manual_acks(options.manual_acks);
    made.set_max_packet_size(PACKET_MAX as usize, PACKET_MAX as usize);
    if let Some((topic, _)) = options.will {
        made.set_last_will(rumqttc::LastWill::new(topic, "gone", QoS::AtLeastOnce, false));
    }
    made
}

fn options_of_v5(server: SocketAddr, id: &str, options: Options) -> v5::MqttOptions {
    let mut made = v5::MqttOptions::new(id, server.ip().to_string(), server.port());
    made.set_clean_start(options.kept.is_none()).set_manual_acks(options.manual_acks);
    made.set_session_expiry_interval(options.kept).set_max_packet_size(Some(PACKET_MAX));
    made.set_receive_maximum(options.receive_maximum).set_topic_alias_max(options.topic_alias_max);
    if let Some((topic, delay_interval)) = options.will {
        let properties = LastWillProperties {
            delay_interval,
            payload_format_indicator: None,
            message_expiry_interval: None,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        };
        made.set_last_will(LastWill::new(topic, "gone", QoS5::AtLeastOnce, false, Some(properties)));
    }
    made
}

/// What the loop of a client is connected to.
struct Line {
    messages: UnboundedSender<Message>,
    replies: UnboundedSender<Reply>,
    /// Asks for the end of the socket, after which the library connects again.
    cut: Arc<Notify>,
}

/// Runs the loop of a connection until it ends; only after a cut may it connect again.
async fn drive_v4(mut events: rumqttc::EventLoop, line: Line) -> Option<DisconnectReasonCode> {
    use rumqttc::{Event, Packet, SubscribeReasonCode};
    loop {
        let event = tokio::select! {
            event = events.poll() => event,
            () = line.cut.notified() => {
                events.clean();
                continue;
            }
        };
        let Ok(event) = event else { return None };
        let reply = match event {
            Event::Incoming(Packet::Publish(publish)) => {
                let (topic, payload) = (publish.topic.clone(), text(&publish.payload));
                let (qos, retain) = (publish.qos as u8, publish.retain);
                let _ = line.messages.send(Message { topic, payload, qos, retain, packet: None });
                continue;
            }
            Event::Incoming(Packet::ConnAck(connack)) => {
                Reply::Connected(Connack { present: connack.session_present, ..Connack::default() })
            }
            Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => Reply::Acknowledged,
            Event::Incoming(Packet::SubAck(suback)) => Reply::Granted(match suback.return_codes[..] {
                [SubscribeReasonCode::Success(qos)] => Some(qos as u8),
                _ => None,
            }),
            Event::Incoming(Packet::UnsubAck(_)) => Reply::Unsubscribed,
            _ => continue,
        };
        let _ = line.replies.send(reply);
    }
}

/// The same in 5.0.
async fn drive_v5(mut events: v5::EventLoop, line: Line) -> Option<DisconnectReasonCode> {
    use v5::mqttbytes::v5::Packet;
    use v5::{ConnectionError, Event, StateError};
    loop {
        let event = tokio::select! {
            event = events.poll() => event,
            () = line.cut.notified() => {
                events.clean();
                continue;
            }
        };
        let reply = match event {
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let (topic, payload) = (text(&publish.topic), text(&publish.payload));
                let (qos, retain) = (number(publish.qos), publish.retain);
                let _ = line.messages.send(Message { topic, payload, qos, retain, packet: Some(publish) });
                continue;
            }
            Ok(Event::Incoming(Packet::ConnAck(connack))) => {
                let said = connack.properties.as_ref();
                Reply::Connected(Connack {
                    present: connack.session_present,
                    assigned_id: said.and_then(|said| said.assigned_client_identifier.clone()),
                    topic_alias_max: said.and_then(|said| said.topic_alias_max).unwrap_or(0),
                })
            }
            Ok(Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_))) => Reply::Acknowledged,
            Ok(Event::Incoming(Packet::SubAck(suback))) => Reply::Granted(match suback.return_codes[..] {
                [SubscribeReasonCode::Success(qos)] => Some(number(qos)),
                _ => None,
            }),
            Ok(Event::Incoming(Packet::UnsubAck(_))) => Reply::Unsubscribed,
            Ok(_) => continue,
            Err(ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. })) => {
                return Some(reason_code);
            }
            Err(_) => return None,
        };
        let _ = line.replies.send(reply);
    }
}
