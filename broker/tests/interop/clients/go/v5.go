package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/extensions/topicaliases"
	"github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"
)

// v5 is Eclipse Paho's autopaho over paho.golang, which speaks 5.0.
type v5 struct {
	manager *autopaho.ConnectionManager
	session session.SessionManager
	// Announced to the server: the topics of its aliases, which the library leaves to its user here.
	topics map[uint16]string
}

func inTime() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func (l *v5) connect(server, id string, options Options, client *Client) (Connack, error) {
	l.session, l.topics = state.NewInMemory(), map[uint16]string{}
	if options.after != nil {
		l.session = options.after.library.(*v5).session
	}
	up := make(chan Connack, 1)
	refused := make(chan error, 1)
	reason, connections := byte(0), 0
	config := autopaho.ClientConfig{
		ServerUrls:                    []*url.URL{{Scheme: "mqtt", Host: server}},
		KeepAlive:                     60,
		CleanStartOnInitialConnection: options.kept == 0 && !options.resume,
		SessionExpiryInterval:         options.kept,
		AttemptConnection: func(context.Context, autopaho.ClientConfig, *url.URL) (net.Conn, error) {
			return client.dial(server)
		},
		OnConnectionUp: func(_ *autopaho.ConnectionManager, said *paho.Connack) {
			connack := Connack{present: said.SessionPresent}
			if said.Properties != nil {
				connack.assignedID = said.Properties.AssignedClientID
				if said.Properties.TopicAliasMaximum != nil {
					connack.aliasMaximum = *said.Properties.TopicAliasMaximum
				}
			}
			if connections++; connections == 1 {
				up <- connack
			} else {
				client.again <- connack.present
			}
		},
		OnConnectError: func(err error) { refused <- err },
		// Ends the attempts to connect again, if it is false.
		OnConnectionDown: func() bool { client.ends <- reason; return options.reconnect },
		ReconnectBackoff: autopaho.NewConstantBackoff(100 * time.Millisecond),
		ConnectPacketBuilder: func(packet *paho.Connect, _ *url.URL) (*paho.Connect, error) {
			if packet.Properties == nil {
				packet.Properties = &paho.ConnectProperties{RequestProblemInfo: true}
			}
			if options.receiveMaximum > 0 {
				packet.Properties.ReceiveMaximum = &options.receiveMaximum
			}
			packet.Properties.TopicAliasMaximum = &options.aliasMaximum
			return packet, nil
		},
		ClientConfig: paho.ClientConfig{
			ClientID:                   id,
			Session:                    l.session,
			PacketTimeout:              patience,
			EnableManualAcknowledgment: options.manualAcks,
			OnServerDisconnect:         func(said *paho.Disconnect) { reason = said.ReasonCode },
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(got paho.PublishReceived) (bool, error) {
				client.messages <- l.message(got)
				return true, nil
			}},
		},
	}
	if options.makeAliases > 0 {
		config.PublishHook = topicaliases.NewTAHandler(options.makeAliases).PublishHook
	}
	if options.will != "" {
		config.WillMessage = &paho.WillMessage{Topic: options.will, Payload: []byte("gone"), QoS: 1}
		config.WillProperties = &paho.WillProperties{WillDelayInterval: &options.willDelay}
	}
	var err error
	// Its context ends the connection, so it has no limit.
	if l.manager, err = autopaho.NewConnection(context.Background(), config); err != nil {
		return Connack{}, err
	}
	ctx, cancel := inTime()
	defer cancel()
	select {
	case connack := <-up:
		return connack, nil
	case err := <-refused:
		return Connack{}, err
	case <-ctx.Done():
		return Connack{}, ctx.Err()
	}
}

func (l *v5) message(got paho.PublishReceived) Message {
	p := got.Packet
	m := Message{topic: p.Topic, payload: string(p.Payload), qos: p.QoS, retain: p.Retain}
	m.ack = func() error { return got.Client.Ack(p) }
	m.properties = Properties{
		contentType:     p.Properties.ContentType,
		responseTopic:   p.Properties.ResponseTopic,
		correlationData: string(p.Properties.CorrelationData),
	}
	if p.Properties.PayloadFormat != nil {
		m.properties.payloadFormat = *p.Properties.PayloadFormat
	}
	if p.Properties.MessageExpiry != nil {
		m.properties.expiry = *p.Properties.MessageExpiry
	}
	if p.Properties.SubscriptionIdentifier != nil {
		m.properties.identifier = *p.Properties.SubscriptionIdentifier
	}
	for _, property := range p.Properties.User {
		m.properties.user = append(m.properties.user, [2]string{property.Key, property.Value})
	}
	if p.Properties.TopicAlias != nil {
		m.properties.alias = *p.Properties.TopicAlias
		if m.topic != "" {
			l.topics[m.properties.alias] = m.topic
		}
		m.topic = l.topics[m.properties.alias]
	}
	return m
}

func (l *v5) subscribe(f Filter) error {
	ctx, cancel := inTime()
	defer cancel()
	request := &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{
		Topic:             f.topic,
		QoS:               f.qos,
		NoLocal:           f.noLocal,
		RetainAsPublished: f.retainAsPublished,
		RetainHandling:    f.retainHandling,
	}}}
	if f.identifier != 0 {
		request.Properties = &paho.SubscribeProperties{SubscriptionIdentifier: &f.identifier}
	}
	suback, err := l.manager.Subscribe(ctx, request)
	if err == nil && suback.Reasons[0] != f.qos {
		err = fmt.Errorf("SUBACK says %#x", suback.Reasons[0])
	}
	return err
}

func (l *v5) unsubscribe(topic string) error {
	ctx, cancel := inTime()
	defer cancel()
	_, err := l.manager.Unsubscribe(ctx, &paho.Unsubscribe{Topics: []string{topic}})
	return err
}

func (l *v5) publish(m Message) error {
	ctx, cancel := inTime()
	defer cancel()
	packet := &paho.Publish{Topic: m.topic, QoS: m.qos, Retain: m.retain, Payload: []byte(m.payload)}
	packet.Properties = &paho.PublishProperties{
		ContentType:   m.properties.contentType,
		ResponseTopic: m.properties.responseTopic,
	}
	if m.properties.correlationData != "" {
		packet.Properties.CorrelationData = []byte(m.properties.correlationData)
	}
	if m.properties.payloadFormat != 0 {
		packet.Properties.PayloadFormat = &m.properties.payloadFormat
	}
	if m.properties.expiry != 0 {
		packet.Properties.MessageExpiry = &m.properties.expiry
	}
	for _, property := range m.properties.user {
		packet.Properties.User.Add(property[0], property[1])
	}
	_, err := l.manager.Publish(ctx, packet)
	return err
}

func (l *v5) disconnect() error {
	ctx, cancel := inTime()
	defer cancel()
	return l.manager.Disconnect(ctx)
}
