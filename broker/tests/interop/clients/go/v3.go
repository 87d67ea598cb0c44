package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// v3 is Eclipse Paho's paho.mqtt.golang, which speaks 3.1 and 3.1.1.
type v3 struct {
	version string
	paho    mqtt.Client
}

// wait for an answer of the server.
func wait(token mqtt.Token) error {
	if !token.WaitTimeout(patience) {
		return errors.New("no answer in time")
	}
	return token.Error()
}

func (l *v3) connect(server, id string, options Options, client *Client) (Connack, error) {
	set := mqtt.NewClientOptions().AddBroker("tcp://" + server).SetClientID(id)
	set.SetProtocolVersion(map[string]uint{"3.1": 3, "3.1.1": 4}[l.version])
	set.SetCleanSession(options.kept == 0 && !options.resume).SetConnectTimeout(patience)
	set.SetAutoReconnect(options.reconnect).SetMaxReconnectInterval(time.Second)
	connections := 0
	set.SetOnConnectHandler(func(mqtt.Client) {
		if connections++; connections > 1 {
			client.again <- true
		}
	})
	if options.will != "" {
		set.SetWill(options.will, "gone", 1, false)
	}
	set.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return client.dial(server) })
	set.SetConnectionLostHandler(func(mqtt.Client, error) { client.ends <- 0 })
	set.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		client.messages <- Message{topic: m.Topic(), payload: string(m.Payload()), qos: m.Qos(), retain: m.Retained()}
	})
	l.paho = mqtt.NewClient(set)
	token := l.paho.Connect()
	err := wait(token)
	return Connack{present: token.(*mqtt.ConnectToken).SessionPresent()}, err
}

func (l *v3) subscribe(filter Filter) error {
	token := l.paho.Subscribe(filter.topic, filter.qos, nil)
	if err := wait(token); err != nil {
		return err
	}
	if granted := token.(*mqtt.SubscribeToken).Result()[filter.topic]; granted != filter.qos {
		return fmt.Errorf("SUBACK says %#x", granted)
	}
	return nil
}

func (l *v3) unsubscribe(topic string) error {
	return wait(l.paho.Unsubscribe(topic))
}

func (l *v3) publish(m Message) error {
	return wait(l.paho.Publish(m.topic, m.qos, m.retain, m.payload))
}

func (l *v3) disconnect() error {
	if !l.paho.IsConnected() {
		return errors.New("not connected")
	}
	l.paho.Disconnect(uint(patience / time.Millisecond))
	return nil
}
