// Checks with paho.golang (MQTT 5). Prints `ok NAME` or `fail NAME: WHY`.
//
//	paho-golang HOST:PORT USERNAME PASSWORD UNIQUE
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

const limit = 20 * time.Second

type peer struct {
	client   *paho.Client
	messages chan *paho.Publish
}

func connect(name string, cleanStart bool, expiry uint32) (*peer, *paho.Connack, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	conn, err := net.Dial("tcp", os.Args[1])
	if err != nil {
		return nil, nil, err
	}
	messages := make(chan *paho.Publish, 10000)
	client := paho.NewClient(paho.ClientConfig{
		Conn: packets.NewThreadSafeConn(conn),
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(received paho.PublishReceived) (bool, error) {
				messages <- received.Packet
				return true, nil
			},
		},
	})
	connack, err := client.Connect(ctx, &paho.Connect{
		ClientID:     name,
		CleanStart:   cleanStart,
		KeepAlive:    30,
		Username:     os.Args[2],
		UsernameFlag: os.Args[2] != "",
		Password:     []byte(os.Args[3]),
		PasswordFlag: os.Args[3] != "",
		Properties:   &paho.ConnectProperties{SessionExpiryInterval: &expiry},
	})
	return &peer{client, messages}, connack, err
}

func (p *peer) subscribe(filter string, qos byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, err := p.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: qos}}})
	return err
}

func (p *peer) publish(publish *paho.Publish) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, err := p.client.Publish(ctx, publish)
	return err
}

func (p *peer) next() (*paho.Publish, error) {
	select {
	case message := <-p.messages:
		return message, nil
	case <-time.After(limit):
		return nil, fmt.Errorf("nothing came within %s", limit)
	}
}

func (p *peer) close() {
	_ = p.client.Disconnect(&paho.Disconnect{})
}

func everyQos(unique string) error {
	sub, _, err := connect(unique+"s", true, 0)
	if err != nil {
		return err
	}
	defer sub.close()
	pub, _, err := connect(unique+"p", true, 0)
	if err != nil {
		return err
	}
	defer pub.close()
	if err := sub.subscribe(unique, 2); err != nil {
		return err
	}
	for qos := byte(0); qos <= 2; qos++ {
		for n := 0; n < 100; n++ {
			if err := pub.publish(&paho.Publish{Topic: unique, QoS: qos, Payload: []byte(fmt.Sprint(n))}); err != nil {
				return err
			}
		}
		for n := 0; n < 100; n++ {
			message, err := sub.next()
			if err != nil {
				return err
			}
			if string(message.Payload) != fmt.Sprint(n) || message.QoS != qos {
				return fmt.Errorf("expected %d at QoS %d, got %s at QoS %d", n, qos, message.Payload, message.QoS)
			}
		}
	}
	return nil
}

func properties(unique string) error {
	peer, _, err := connect(unique, true, 0)
	if err != nil {
		return err
	}
	defer peer.close()
	if err := peer.subscribe(unique, 1); err != nil {
		return err
	}
	sent := &paho.PublishProperties{
		ContentType:     "text/plain",
		ResponseTopic:   "reply/to",
		CorrelationData: []byte{0, 1, 255},
		User:            paho.UserProperties{{Key: "k", Value: "1"}, {Key: "a", Value: ""}, {Key: "k", Value: "1"}},
	}
	if err := peer.publish(&paho.Publish{Topic: unique, QoS: 1, Payload: []byte("x"), Properties: sent}); err != nil {
		return err
	}
	message, err := peer.next()
	if err != nil {
		return err
	}
	got := message.Properties
	same := got.ContentType == sent.ContentType && got.ResponseTopic == sent.ResponseTopic &&
		string(got.CorrelationData) == string(sent.CorrelationData) && fmt.Sprint(got.User) == fmt.Sprint(sent.User)
	if !same {
		return fmt.Errorf("sent %+v, got %+v", sent, got)
	}
	return nil
}

func resume(unique string) error {
	first, _, err := connect(unique+"s", true, 300)
	if err != nil {
		return err
	}
	if err := first.subscribe(unique, 1); err != nil {
		return err
	}
	first.close()
	pub, _, err := connect(unique+"p", true, 0)
	if err != nil {
		return err
	}
	defer pub.close()
	for n := 0; n < 50; n++ {
		if err := pub.publish(&paho.Publish{Topic: unique, QoS: 1, Payload: []byte(fmt.Sprint(n))}); err != nil {
			return err
		}
	}
	again, connack, err := connect(unique+"s", false, 300)
	if err != nil {
		return err
	}
	defer again.close()
	if !connack.SessionPresent {
		return fmt.Errorf("no session present")
	}
	for n := 0; n < 50; n++ {
		message, err := again.next()
		if err != nil {
			return err
		}
		if string(message.Payload) != fmt.Sprint(n) {
			return fmt.Errorf("expected %d, got %s", n, message.Payload)
		}
	}
	return nil
}

func takeOver(unique string) error {
	first, _, err := connect(unique, true, 0)
	if err != nil {
		return err
	}
	second, _, err := connect(unique, true, 0)
	if err != nil {
		return err
	}
	defer second.close()
	select {
	case <-first.client.Done():
		return nil
	case <-time.After(limit):
		return fmt.Errorf("the first connection is still open")
	}
}

func main() {
	checks := []struct {
		name string
		run  func(string) error
	}{
		{"each QoS, in order", everyQos},
		{"properties in order and with duplicates", properties},
		{"a session keeps what came meanwhile", resume},
		{"a second connection takes over", takeOver},
	}
	for i, check := range checks {
		if err := check.run(fmt.Sprintf("%s-%d", os.Args[4], i)); err != nil {
			fmt.Printf("fail %s: %v\n", check.name, err)
		} else {
			fmt.Printf("ok %s\n", check.name)
		}
	}
	fmt.Println("@end")
}
