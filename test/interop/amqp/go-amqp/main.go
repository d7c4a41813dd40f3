// Checks with Azure go-amqp. Prints `ok NAME`, `skip NAME: WHY` or `fail NAME: WHY`, and `@end`.
//
//	checks HOST PORT USERNAME PASSWORD UNIQUE DEAD_LETTERS [TLS_PORT CA_FILE CERT_FILE KEY_FILE DEVICE]
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/Azure/go-amqp"
)

const limit = 15 * time.Second

var errSkip = errors.New("skip")

type check struct {
	ctx    context.Context
	unique string
	conns  []*amqp.Conn
}

func fact(index int) string {
	if index+1 < len(os.Args) {
		return os.Args[index+1]
	}
	return ""
}

func (c *check) dial(container string) (*amqp.Session, *amqp.Conn, error) {
	options := &amqp.ConnOptions{ContainerID: container, SASLType: amqp.SASLTypeAnonymous()}
	if fact(2) != "" {
		options.SASLType = amqp.SASLTypePlain(fact(2), fact(3))
	}
	return c.open("amqp://"+fact(0)+":"+fact(1), options)
}

func (c *check) open(url string, options *amqp.ConnOptions) (*amqp.Session, *amqp.Conn, error) {
	conn, err := amqp.Dial(c.ctx, url, options)
	if err != nil {
		return nil, nil, err
	}
	c.conns = append(c.conns, conn)
	session, err := conn.NewSession(c.ctx, nil)
	return session, conn, err
}

func (c *check) send(session *amqp.Session, address, capability string, bodies ...string) error {
	sender, err := session.NewSender(c.ctx, address, &amqp.SenderOptions{TargetCapabilities: []string{capability}})
	if err != nil {
		return err
	}
	for _, body := range bodies {
		if err := sender.Send(c.ctx, amqp.NewMessage([]byte(body)), nil); err != nil {
			return err
		}
	}
	return sender.Close(c.ctx)
}

func from(capability string) *amqp.ReceiverOptions {
	return &amqp.ReceiverOptions{SourceCapabilities: []string{capability}, Credit: 10}
}

func (c *check) take(receiver *amqp.Receiver, count int) ([]string, error) {
	found := []string{}
	for range count {
		message, err := receiver.Receive(c.ctx, nil)
		if err != nil {
			return found, err
		}
		found = append(found, string(message.GetData()))
		if err := receiver.AcceptMessage(c.ctx, message); err != nil {
			return found, err
		}
	}
	return found, nil
}

func (c *check) expect(receiver *amqp.Receiver, bodies ...string) error {
	found, err := c.take(receiver, len(bodies))
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(found, bodies) {
		return fmt.Errorf("got %v, not %v", found, bodies)
	}
	return nil
}

func nothing(receiver *amqp.Receiver) error {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if message, err := receiver.Receive(ctx, nil); err == nil {
		return fmt.Errorf("got %s", message.GetData())
	}
	return nil
}

func settleModes(c *check) error {
	session, _, err := c.dial("")
	if err != nil {
		return err
	}
	for n, send := range []amqp.SenderSettleMode{amqp.SenderSettleModeUnsettled, amqp.SenderSettleModeSettled, amqp.SenderSettleModeMixed} {
		for m, receive := range []amqp.SenderSettleMode{amqp.SenderSettleModeUnsettled, amqp.SenderSettleModeSettled} {
			for k, settle := range []amqp.ReceiverSettleMode{amqp.ReceiverSettleModeFirst, amqp.ReceiverSettleModeSecond} {
				address := fmt.Sprintf("%s/%d%d%d", c.unique, n, m, k)
				options := &amqp.ReceiverOptions{RequestedSenderSettleMode: &receive, SettlementMode: &settle, Credit: 50}
				receiver, err := session.NewReceiver(c.ctx, address, options)
				if err != nil {
					return fmt.Errorf("receiver %s: %w", address, err)
				}
				sender, err := session.NewSender(c.ctx, address, &amqp.SenderOptions{SettlementMode: &send, RequestedReceiverSettleMode: &settle})
				if err != nil {
					return fmt.Errorf("sender %s: %w", address, err)
				}
				for i := range 20 {
					message := amqp.NewMessage([]byte(fmt.Sprint(i)))

					settled := &amqp.SendOptions{Settled: send == amqp.SenderSettleModeSettled}
					if err := sender.Send(c.ctx, message, settled); err != nil {
						return fmt.Errorf("send to %s: %w", address, err)
					}
				}
				for i := range 20 {
					message, err := receiver.Receive(c.ctx, nil)
					if err != nil {
						return fmt.Errorf("receive from %s: %w", address, err)
					}
					if got := string(message.GetData()); got != fmt.Sprint(i) {
						return fmt.Errorf("%s: got %s, not %d", address, got, i)
					}
					if err := receiver.AcceptMessage(c.ctx, message); err != nil {
						return fmt.Errorf("accept at %s: %w", address, err)
					}
				}
			}
		}
	}
	return nil
}

func outcomes(c *check) error {
	session, _, err := c.dial("")
	if err != nil {
		return err
	}
	if err := c.send(session, c.unique, "queue", "again"); err != nil {
		return err
	}
	receiver, err := session.NewReceiver(c.ctx, c.unique, from("queue"))
	if err != nil {
		return err
	}
	for round, count := range []uint32{0, 0, 1} {
		message, err := receiver.Receive(c.ctx, nil)
		if err != nil {
			return err
		}
		got := uint32(0)
		if message.Header != nil {
			got = message.Header.DeliveryCount
		}
		if got != count {
			return fmt.Errorf("delivery count %d, not %d", got, count)
		}
		if round == 0 {
			err = receiver.ReleaseMessage(c.ctx, message)
		} else {
			err = receiver.ModifyMessage(c.ctx, message, &amqp.ModifyMessageOptions{DeliveryFailed: true})
		}
		if err != nil {
			return err
		}
	}
	message, err := receiver.Receive(c.ctx, nil)
	if err != nil {
		return err
	}
	return receiver.RejectMessage(c.ctx, message, &amqp.Error{Condition: "app:bad", Description: "enough"})
}

func drain(c *check) error {
	session, _, err := c.dial("")
	if err != nil {
		return err
	}
	options := from("queue")
	options.Credit = -1 // by hand
	receiver, err := session.NewReceiver(c.ctx, c.unique, options)
	if err != nil {
		return err
	}
	if err := receiver.IssueCredit(10); err != nil {
		return err
	}
	if err := receiver.DrainCredit(c.ctx, nil); err != nil {
		return err
	}
	if err := c.send(session, c.unique, "queue", "1", "2", "3"); err != nil {
		return err
	}
	if err := nothing(receiver); err != nil {
		return fmt.Errorf("without credit: %w", err)
	}
	if err := receiver.IssueCredit(5); err != nil {
		return err
	}
	return c.expect(receiver, "1", "2", "3")
}

func selector(c *check) error {
	session, _, err := c.dial("")
	if err != nil {
		return err
	}
	options := from("topic")
	options.Filters = []amqp.LinkFilter{amqp.NewSelectorFilter("colour = 'red' AND n > 1")}
	receiver, err := session.NewReceiver(c.ctx, c.unique, options)
	if err != nil {
		return err
	}
	sender, err := session.NewSender(c.ctx, c.unique, nil)
	if err != nil {
		return err
	}
	for n := range 6 {
		message := amqp.NewMessage([]byte(fmt.Sprint(n)))
		message.ApplicationProperties = map[string]any{"n": int64(n), "colour": []string{"red", "blue"}[n%2]}
		if err := sender.Send(c.ctx, message, nil); err != nil {
			return err
		}
	}
	if err := c.expect(receiver, "2", "4"); err != nil {
		return err
	}
	return nothing(receiver)
}

func browse(c *check) error {
	session, _, err := c.dial("")
	if err != nil {
		return err
	}
	if err := c.send(session, c.unique, "queue", "1", "2"); err != nil {
		return err
	}
	for _, mode := range []amqp.SourceDistributionMode{"copy", "copy", "move"} {
		options := from("queue")
		options.SourceDistributionMode = mode
		receiver, err := session.NewReceiver(c.ctx, c.unique, options)
		if err != nil {
			return err
		}
		if err := c.expect(receiver, "1", "2"); err != nil {
			return fmt.Errorf("%s: %w", mode, err)
		}
		if err := receiver.Close(c.ctx); err != nil {
			return err
		}
	}
	return nil
}

func durable(c *check) error {
	other, _, err := c.dial("")
	if err != nil {
		return err
	}
	options := from("topic")
	options.Name = c.unique + "-sub"
	options.SourceDurability = amqp.DurabilityUnsettledState
	options.SourceExpiryPolicy = amqp.ExpiryPolicyNever
	session, conn, err := c.dial(c.unique)
	if err != nil {
		return err
	}
	receiver, err := session.NewReceiver(c.ctx, c.unique, options)
	if err != nil {
		return err
	}
	if err := c.send(other, c.unique, "topic", "1"); err != nil {
		return err
	}
	if err := c.expect(receiver, "1"); err != nil {
		return err
	}
	// Without closing the link, which would end the subscription.
	if err := conn.Close(); err != nil {
		return err
	}
	if err := c.send(other, c.unique, "topic", "2", "3"); err != nil {
		return err
	}
	if session, _, err = c.dial(c.unique); err != nil {
		return err
	}
	if receiver, err = session.NewReceiver(c.ctx, c.unique, options); err != nil {
		return err
	}
	return c.expect(receiver, "2", "3")
}

func dynamic(c *check) error {
	session, _, err := c.dial("")
	if err != nil {
		return err
	}
	receiver, err := session.NewReceiver(c.ctx, "", &amqp.ReceiverOptions{DynamicAddress: true})
	if err != nil {
		return err
	}
	if receiver.Address() == "" {
		return errors.New("the broker chose no address")
	}
	if err := c.send(session, receiver.Address(), "queue", "reply"); err != nil {
		return err
	}
	return c.expect(receiver, "reply")
}

func large(c *check) error {
	session, _, err := c.dial("")
	if err != nil {
		return err
	}
	receiver, err := session.NewReceiver(c.ctx, c.unique, from("topic"))
	if err != nil {
		return err
	}
	sender, err := session.NewSender(c.ctx, c.unique, nil)
	if err != nil {
		return err
	}
	body := make([]byte, 10<<20)
	for i := range body {
		body[i] = byte(i*31 + i>>8)
	}
	if err := sender.Send(c.ctx, amqp.NewMessage(body), nil); err != nil {
		return err
	}
	message, err := receiver.Receive(c.ctx, nil)
	if err != nil {
		return err
	}
	if !bytes.Equal(message.GetData(), body) {
		return errors.New("the body changed on its way")
	}
	return receiver.AcceptMessage(c.ctx, message)
}

// With types; a time has a zone that is not compared.
func shown(properties map[string]any) map[string]string {
	texts := map[string]string{}
	for name, value := range properties {
		texts[name] = fmt.Sprintf("%T %v", value, value)
	}
	return texts
}

func types(c *check) error {
	session, _, err := c.dial("")
	if err != nil {
		return err
	}
	receiver, err := session.NewReceiver(c.ctx, c.unique, from("topic"))
	if err != nil {
		return err
	}
	sender, err := session.NewSender(c.ctx, c.unique, nil)
	if err != nil {
		return err
	}
	contentType, subject := "text/x", "s"
	sent := &amqp.Message{
		Header:      &amqp.MessageHeader{Durable: true, Priority: 6},
		Annotations: amqp.Annotations{"x-opt-mine": "kept"},
		Properties: &amqp.MessageProperties{
			MessageID: uint64(7), CorrelationID: amqp.UUID{1, 2, 3}, ContentType: &contentType, Subject: &subject,
		},
		ApplicationProperties: map[string]any{"a": int8(-1), "b": uint32(5), "c": float32(0.5), "d": []byte{1}, "e": time.UnixMilli(1e12).UTC()},
		Value:                 map[string]any{"list": []any{int64(1), "two", nil}},
		Footer:                amqp.Annotations{"x-sum": int32(9)},
	}
	if err := sender.Send(c.ctx, sent, nil); err != nil {
		return err
	}
	got, err := receiver.Receive(c.ctx, nil)
	if err != nil {
		return err
	}
	for _, part := range [][2]any{
		{sent.Header.Durable, got.Header.Durable}, {sent.Header.Priority, got.Header.Priority},
		{sent.Properties.MessageID, got.Properties.MessageID}, {sent.Properties.CorrelationID, got.Properties.CorrelationID},
		{sent.Properties.ContentType, got.Properties.ContentType}, {sent.Properties.Subject, got.Properties.Subject},
		{sent.Annotations["x-opt-mine"], got.Annotations["x-opt-mine"]},
		{shown(sent.ApplicationProperties), shown(got.ApplicationProperties)}, {sent.Value, got.Value}, {sent.Footer, got.Footer},
	} {
		if !reflect.DeepEqual(part[0], part[1]) {
			return fmt.Errorf("got %v, not %v", part[1], part[0])
		}
	}
	return receiver.AcceptMessage(c.ctx, got)
}

func manyAtOnce(c *check) error {
	session, _, err := c.dial("")
	if err != nil {
		return err
	}
	options := from("queue")
	options.Credit = 1000
	receiver, err := session.NewReceiver(c.ctx, c.unique, options)
	if err != nil {
		return err
	}
	sender, err := session.NewSender(c.ctx, c.unique, &amqp.SenderOptions{TargetCapabilities: []string{"queue"}})
	if err != nil {
		return err
	}
	const count = 3000
	receipts := make([]amqp.SendReceipt, 0, count)
	for n := range count {
		receipt, err := sender.SendWithReceipt(c.ctx, amqp.NewMessage([]byte(fmt.Sprint(n))), nil)
		if err != nil {
			return err
		}
		receipts = append(receipts, receipt)
	}
	for _, receipt := range receipts {
		if state, err := receipt.Wait(c.ctx); err != nil {
			return err
		} else if _, accepted := state.(*amqp.StateAccepted); !accepted {
			return fmt.Errorf("%T", state)
		}
	}
	found, err := c.take(receiver, count)
	for n, body := range found {
		if body != fmt.Sprint(n) {
			return fmt.Errorf("got %s at %d", body, n)
		}
	}
	return err
}

func trusting() (*tls.Config, error) {
	if fact(6) == "" {
		return nil, fmt.Errorf("%w: the target has no TLS listener", errSkip)
	}
	pem, err := os.ReadFile(fact(7))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}, err
}

func external(c *check) error {
	config, err := trusting()
	if err != nil {
		return err
	}
	if fact(8) == "" {
		return fmt.Errorf("%w: the target has issued no certificate", errSkip)
	}
	pair, err := tls.LoadX509KeyPair(fact(8), fact(9))
	if err != nil {
		return err
	}
	config.Certificates = []tls.Certificate{pair}
	session, _, err := c.open("amqps://localhost:"+fact(6), &amqp.ConnOptions{TLSConfig: config, SASLType: amqp.SASLTypeExternal("")})
	if err != nil {
		return err
	}
	topic := "dev/" + fact(10) + "/" + c.unique
	receiver, err := session.NewReceiver(c.ctx, topic, from("topic"))
	if err != nil {
		return err
	}
	if err := c.send(session, topic, "topic", "known"); err != nil {
		return err
	}
	if err := c.expect(receiver, "known"); err != nil {
		return err
	}
	_, err = session.NewReceiver(c.ctx, "dev/another/x", from("topic"))
	var refused *amqp.Error
	if !errors.As(err, &refused) || refused.Condition != amqp.ErrCondUnauthorizedAccess {
		return fmt.Errorf("another's topic: %v", err)
	}
	return nil
}

func wrongPassword(c *check) error {
	if fact(2) == "" {
		return fmt.Errorf("%w: the target asks for no password", errSkip)
	}
	if _, _, err := c.open("amqp://"+fact(0)+":"+fact(1), &amqp.ConnOptions{SASLType: amqp.SASLTypePlain(fact(2), "wrong")}); err == nil {
		return errors.New("let in")
	}
	return nil
}

func main() {
	checks := []struct {
		name string
		run  func(*check) error
	}{
		{"settle modes", settleModes},
		{"released, modified, rejected", outcomes},
		{"drain", drain},
		{"selector", selector},
		{"browsing", browse},
		{"durable subscription", durable},
		{"dynamic node", dynamic},
		{"ten megabytes", large},
		{"types of a message", types},
		{"three thousand under way, in order", manyAtOnce},
		{"SASL EXTERNAL with a client certificate", external},
		{"a wrong password is refused", wrongPassword},
	}
	for index, one := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		c := &check{ctx: ctx, unique: fmt.Sprintf("%sx%d", fact(4), index)}
		err := one.run(c)
		switch {
		case err == nil:
			fmt.Printf("ok %s\n", one.name)
		case errors.Is(err, errSkip):
			fmt.Printf("skip %s: %s\n", one.name, strings.TrimPrefix(err.Error(), "skip: "))
		default:
			fmt.Printf("fail %s: %s\n", one.name, strings.ReplaceAll(err.Error(), "\n", " "))
		}
		for _, conn := range c.conns {
			conn.Close()
		}
		cancel()
	}
	fmt.Println("@end")
}
