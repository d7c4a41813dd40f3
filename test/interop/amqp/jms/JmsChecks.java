// Checks with Qpid JMS (Jakarta Messaging 3). Prints `ok NAME`, `skip NAME: WHY` or `fail NAME: WHY`, and `@end`.
//
//   JmsChecks HOST PORT USERNAME PASSWORD UNIQUE DEAD_LETTERS [TLS_PORT TRUST_STORE KEY_STORE STORE_PASSWORD DEVICE WS_PORT]
//
// Without a user name it asks for no SCRAM; without a TLS port it skips what needs one.

import jakarta.jms.BytesMessage;
import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.InvalidSelectorException;
import jakarta.jms.JMSException;
import jakarta.jms.JMSSecurityException;
import jakarta.jms.MapMessage;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.ObjectMessage;
import jakarta.jms.Queue;
import jakarta.jms.QueueBrowser;
import jakarta.jms.Session;
import jakarta.jms.StreamMessage;
import jakarta.jms.TemporaryQueue;
import jakarta.jms.TemporaryTopic;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Enumeration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.qpid.jms.JmsConnectionFactory;

public final class JmsChecks {
  private static final long LIMIT = 15_000;
  private static final long QUIET = 300;
  private static String[] facts;
  private static final List<Connection> open = new ArrayList<>();
  private static String unique;

  private interface Check {
    void run() throws Exception;
  }

  private static final class Skip extends Exception {
    Skip(String why) {
      super(why);
    }
  }

  private static String fact(int index) {
    return index < facts.length ? facts[index] : "";
  }

  // --- connections

  private static Connection connect(String clientId, String uri) throws JMSException {
    JmsConnectionFactory factory = new JmsConnectionFactory(uri);
    if (!fact(2).isEmpty()) {
      factory.setUsername(fact(2));
      factory.setPassword(fact(3));
    }
    Connection connection = factory.createConnection();
    open.add(connection);
    if (clientId != null) connection.setClientID(clientId);
    connection.start();
    return connection;
  }

  private static String plain(String options) {
    return "amqp://" + fact(0) + ":" + fact(1) + options;
  }

  private static Session session(int mode) throws JMSException {
    return connect(null, plain("")).createSession(mode);
  }

  private static Session session() throws JMSException {
    return session(Session.AUTO_ACKNOWLEDGE);
  }

  private static void closeAll() {
    for (Connection connection : open) {
      try {
        connection.close();
      } catch (JMSException ended) {
        // What matters was checked before.
      }
    }
    open.clear();
  }

  // --- what checks say

  private static void same(Object expected, Object actual, String what) {
    if (!expected.equals(actual)) throw new AssertionError(what + ": " + actual + ", not " + expected);
  }

  private static String text(Message message) throws JMSException {
    if (message == null) throw new AssertionError("nothing came");
    return ((TextMessage) message).getText();
  }

  private static List<String> take(MessageConsumer consumer, int count) throws JMSException {
    List<String> found = new ArrayList<>();
    for (int i = 0; i < count; i++) found.add(text(consumer.receive(LIMIT)));
    return found;
  }

  private static void nothing(MessageConsumer consumer) throws JMSException {
    Message message = consumer.receive(QUIET);
    if (message != null) throw new AssertionError("got " + ((TextMessage) message).getText());
  }

  private static void send(Session session, jakarta.jms.Destination destination, String... texts) throws JMSException {
    MessageProducer producer = session.createProducer(destination);
    for (String text : texts) producer.send(session.createTextMessage(text));
    producer.close();
  }

  // --- checks

  private static void queues() throws Exception {
    Session session = session();
    Queue queue = session.createQueue(unique);
    send(session, queue, "1", "2", "3");
    MessageConsumer consumer = session.createConsumer(queue);
    same(List.of("1", "2", "3"), take(consumer, 3), "queue");
    // Drains: asks the broker whether there is anything.
    same(true, consumer.receiveNoWait() == null, "an empty queue");
    send(session, queue, "4");
    same("4", text(consumer.receive(LIMIT)), "after draining");
  }

  private static void topics() throws Exception {
    Session session = session();
    MessageConsumer one = session.createConsumer(session.createTopic(unique + "/a/b"));
    MessageConsumer all = session.createConsumer(session.createTopic(unique + "/+/b"));
    send(session, session.createTopic(unique + "/a/b"), "1", "2");
    same(List.of("1", "2"), take(one, 2), "topic");
    same(List.of("1", "2"), take(all, 2), "topic with a wildcard");
  }

  private static void noLocal() throws Exception {
    Connection connection = connect(null, plain(""));
    Session session = connection.createSession();
    Topic topic = session.createTopic(unique);
    MessageConsumer consumer = session.createConsumer(topic, null, true);
    send(session, topic, "own");
    send(session(), topic, "another's");
    same("another's", text(consumer.receive(LIMIT)), "no local");
  }

  private static void messageTypes() throws Exception {
    Session session = session();
    Queue queue = session.createQueue(unique);
    MessageProducer producer = session.createProducer(queue);
    MessageConsumer consumer = session.createConsumer(queue);
    BytesMessage bytes = session.createBytesMessage();
    bytes.writeBytes(new byte[] {1, 2, 3});
    MapMessage map = session.createMapMessage();
    map.setInt("n", 42);
    map.setString("s", "text");
    StreamMessage stream = session.createStreamMessage();
    stream.writeLong(7);
    stream.writeString("eight");
    ObjectMessage object = session.createObjectMessage("serialized");
    TextMessage text = session.createTextMessage("ü");
    text.setJMSType("kind");
    text.setJMSCorrelationID("c1");
    text.setJMSReplyTo(session.createTopic(unique + "/reply"));
    text.setIntProperty("n", 3);
    text.setBooleanProperty("b", true);
    text.setDoubleProperty("d", 0.25);
    text.setStringProperty("JMSXGroupID", "g");
    text.setIntProperty("JMSXGroupSeq", 2);
    for (Message message : List.of(bytes, map, stream, object, text)) producer.send(message);
    byte[] got = new byte[3];
    BytesMessage gotBytes = (BytesMessage) consumer.receive(LIMIT);
    gotBytes.readBytes(got);
    same(true, Arrays.equals(got, new byte[] {1, 2, 3}), "bytes");
    MapMessage gotMap = (MapMessage) consumer.receive(LIMIT);
    same(42, gotMap.getInt("n"), "map");
    same("text", gotMap.getString("s"), "map");
    StreamMessage gotStream = (StreamMessage) consumer.receive(LIMIT);
    same(7L, gotStream.readLong(), "stream");
    same("eight", gotStream.readString(), "stream");
    ObjectMessage gotObject = (ObjectMessage) consumer.receive(LIMIT);
    same("serialized", gotObject.getBody(String.class), "object");
    TextMessage gotText = (TextMessage) consumer.receive(LIMIT);
    same("ü", gotText.getText(), "text");
    same("kind", gotText.getJMSType(), "type");
    same("c1", gotText.getJMSCorrelationID(), "correlation");
    same(unique + "/reply", ((Topic) gotText.getJMSReplyTo()).getTopicName(), "reply to");
    same(unique, ((Queue) gotText.getJMSDestination()).getQueueName(), "destination");
    same(text.getJMSMessageID(), gotText.getJMSMessageID(), "message id");
    same(3, gotText.getIntProperty("n"), "property");
    same(true, gotText.getBooleanProperty("b"), "property");
    same(0.25, gotText.getDoubleProperty("d"), "property");
    same("g", gotText.getStringProperty("JMSXGroupID"), "group");
    same(2, gotText.getIntProperty("JMSXGroupSeq"), "group sequence");
    same(1, gotText.getIntProperty("JMSXDeliveryCount"), "delivery count");
    same(false, gotText.getJMSRedelivered(), "redelivered");
  }

  private static void selectors() throws Exception {
    Session session = session();
    Queue queue = session.createQueue(unique);
    MessageProducer producer = session.createProducer(queue);
    for (int n = 0; n < 6; n++) {
      TextMessage message = session.createTextMessage("m" + n);
      message.setIntProperty("n", n);
      message.setStringProperty("colour", n % 2 == 0 ? "red" : "blue");
      message.setJMSType("t" + n);
      message.setJMSPriority(n);
      producer.send(message);
    }
    MessageConsumer red = session.createConsumer(queue, "colour = 'red' AND n IN ('x') OR colour LIKE 'r_d' AND n * 2 > 2");
    same(List.of("m2", "m4"), take(red, 2), "selected");
    nothing(red);
    red.close();
    MessageConsumer typed = session.createConsumer(queue, "JMSType = 't5'");
    same(List.of("m5"), take(typed, 1), "by type");
    typed.close();
    same(List.of("m0", "m1", "m3"), take(session.createConsumer(queue), 3), "the rest");
    try {
      session.createConsumer(queue, "n = = 1");
    } catch (InvalidSelectorException refused) {
      return;
    }
    throw new AssertionError("took a selector that is none");
  }

  private static void browser() throws Exception {
    Session session = session();
    Queue queue = session.createQueue(unique);
    send(session, queue, "1", "2", "3");
    for (int round = 0; round < 2; round++) {
      QueueBrowser browser = session.createBrowser(queue);
      List<String> seen = new ArrayList<>();
      for (Enumeration<?> messages = browser.getEnumeration(); messages.hasMoreElements(); ) seen.add(text((Message) messages.nextElement()));
      same(List.of("1", "2", "3"), seen, "seen");
      browser.close();
    }
    same(List.of("1", "2", "3"), take(session.createConsumer(queue), 3), "taken");
  }

  private static void priorities() throws Exception {
    Session session = session();
    Queue queue = session.createQueue(unique);
    MessageProducer producer = session.createProducer(queue);
    for (int priority : new int[] {1, 9, 4, 9, 0}) {
      producer.send(session.createTextMessage("p" + priority), DeliveryMode.PERSISTENT, priority, 0);
    }
    same(List.of("p9", "p9", "p4", "p1", "p0"), take(session.createConsumer(queue), 5), "order");
  }

  private static void expiry() throws Exception {
    Session session = session();
    Queue queue = session.createQueue(unique);
    MessageProducer producer = session.createProducer(queue);
    producer.send(session.createTextMessage("short"), DeliveryMode.PERSISTENT, 4, 50);
    producer.send(session.createTextMessage("long"), DeliveryMode.PERSISTENT, 4, 60_000);
    Thread.sleep(200);
    MessageConsumer consumer = session.createConsumer(queue);
    same(List.of("long"), take(consumer, 1), "not expired");
    nothing(consumer);
  }

  private static void delay() throws Exception {
    Session session = session();
    Queue queue = session.createQueue(unique);
    MessageConsumer consumer = session.createConsumer(queue);
    MessageProducer producer = session.createProducer(queue);
    long start = System.currentTimeMillis();
    producer.setDeliveryDelay(600);
    producer.send(session.createTextMessage("late"));
    producer.setDeliveryDelay(0);
    producer.send(session.createTextMessage("soon"));
    same(List.of("soon", "late"), take(consumer, 2), "order");
    long passed = System.currentTimeMillis() - start;
    if (passed < 590) throw new AssertionError("after " + passed + " ms");
  }

  private static void durableSubscription() throws Exception {
    String clientId = unique + "-client";
    Session sender = session();
    Topic topic = sender.createTopic(unique);
    Connection connection = connect(clientId, plain(""));
    Session session = connection.createSession();
    MessageConsumer consumer = session.createDurableSubscriber(topic, "sub");
    send(sender, topic, "1");
    same("1", text(consumer.receive(LIMIT)), "first");
    connection.close();
    send(sender, topic, "2", "3");
    connection = connect(clientId, plain(""));
    session = connection.createSession();
    consumer = session.createDurableSubscriber(topic, "sub");
    same(List.of("2", "3"), take(consumer, 2), "meanwhile");
    consumer.close();
    send(sender, topic, "4");
    session.unsubscribe("sub");
    consumer = session.createDurableSubscriber(topic, "sub");
    nothing(consumer);
    send(sender, topic, "5");
    same("5", text(consumer.receive(LIMIT)), "anew");
    consumer.close();
    session.unsubscribe("sub");
    try {
      session.unsubscribe("sub");
    } catch (JMSException unknown) {
      return;
    }
    throw new AssertionError("unsubscribed from what there is not");
  }

  private static void durableSelector() throws Exception {
    Connection connection = connect(unique + "-client", plain(""));
    Session session = connection.createSession();
    Topic topic = session.createTopic(unique);
    MessageConsumer consumer = session.createDurableSubscriber(topic, "sub", "n > 1", false);
    consumer.close();
    MessageProducer producer = session.createProducer(topic);
    for (int n = 0; n < 4; n++) {
      TextMessage message = session.createTextMessage("m" + n);
      message.setIntProperty("n", n);
      producer.send(message);
    }
    consumer = session.createDurableSubscriber(topic, "sub", "n > 1", false);
    same(List.of("m2", "m3"), take(consumer, 2), "selected");
    nothing(consumer);
    consumer.close();
    session.unsubscribe("sub");
  }

  /** Two consumers, of one connection or of two, get each message once between them. */
  private static void share(MessageConsumer first, MessageConsumer second, Topic topic) throws Exception {
    Session sender = session();
    String[] sent = new String[40];
    for (int n = 0; n < sent.length; n++) sent[n] = "m" + n;
    send(sender, topic, sent);
    List<String> got = new ArrayList<>();
    int[] byEach = new int[2];
    long until = System.currentTimeMillis() + LIMIT;
    while (got.size() < sent.length && System.currentTimeMillis() < until) {
      MessageConsumer[] both = {first, second};
      for (int i = 0; i < 2; i++) {
        Message message = both[i].receive(50);
        if (message == null) continue;
        got.add(text(message));
        byEach[i]++;
      }
    }
    Collections.sort(got);
    List<String> expected = new ArrayList<>(Arrays.asList(sent));
    Collections.sort(expected);
    same(expected, got, "between them");
    if (byEach[0] == 0 || byEach[1] == 0) throw new AssertionError("one of them got nothing: " + Arrays.toString(byEach));
  }

  private static String narrow() {
    return "?jms.prefetchPolicy.all=4";
  }

  private static void sharedSubscription() throws Exception {
    Session one = connect(null, plain(narrow())).createSession();
    Session two = connect(null, plain(narrow())).createSession();
    Topic topic = one.createTopic(unique);
    share(one.createSharedConsumer(topic, unique + "s"), two.createSharedConsumer(topic, unique + "s"), topic);
  }

  private static void sharedDurable() throws Exception {
    String name = unique + "s";
    Connection connection = connect(null, plain(narrow()));
    Session one = connection.createSession();
    Topic topic = one.createTopic(unique);
    one.createSharedDurableConsumer(topic, name);
    connection.close();
    send(session(), topic, "meanwhile");
    one = connect(null, plain(narrow())).createSession();
    MessageConsumer first = one.createSharedDurableConsumer(topic, name);
    same("meanwhile", text(first.receive(LIMIT)), "meanwhile");
    Session two = connect(null, plain(narrow())).createSession();
    MessageConsumer second = two.createSharedDurableConsumer(topic, name);
    share(first, second, topic);
    first.close();
    second.close();
    one.unsubscribe(name);
    send(one, topic, "lost");
    first = one.createSharedDurableConsumer(topic, name);
    nothing(first);
    first.close();
    one.unsubscribe(name);
  }

  private static void transacted() throws Exception {
    Session session = session(Session.SESSION_TRANSACTED);
    Session watcher = session();
    Queue from = session.createQueue(unique + "-from");
    Queue to = session.createQueue(unique + "-to");
    send(watcher, from, "1", "2");
    MessageConsumer outcome = watcher.createConsumer(to);
    MessageConsumer consumer = session.createConsumer(from);
    MessageProducer producer = session.createProducer(to);
    same("1", text(consumer.receive(LIMIT)), "first try");
    producer.send(session.createTextMessage("rolled back"));
    nothing(outcome);
    session.rollback();
    nothing(outcome);
    Message again = consumer.receive(LIMIT);
    same("1", text(again), "after the rollback");
    same(true, again.getJMSRedelivered(), "redelivered");
    same("2", text(consumer.receive(LIMIT)), "the next");
    producer.send(session.createTextMessage("a"));
    producer.send(session.createTextMessage("b"));
    nothing(outcome);
    session.commit();
    same(List.of("a", "b"), take(outcome, 2), "committed");
    consumer.close();
    MessageConsumer rest = watcher.createConsumer(from);
    nothing(rest);
  }

  private static void transactedTopics() throws Exception {
    Session session = session(Session.SESSION_TRANSACTED);
    Session watcher = session();
    Topic topic = session.createTopic(unique);
    MessageConsumer consumer = watcher.createConsumer(topic);
    MessageProducer producer = session.createProducer(topic);
    for (int n = 0; n < 200; n++) producer.send(session.createTextMessage("no"));
    session.rollback();
    String[] sent = new String[200];
    for (int n = 0; n < sent.length; n++) producer.send(session.createTextMessage(sent[n] = "m" + n));
    nothing(consumer);
    session.commit();
    same(Arrays.asList(sent), take(consumer, sent.length), "committed");
    // What is not committed ends with the connection.
    producer.send(session.createTextMessage("never"));
    session.close();
    nothing(consumer);
  }

  private static void clientAcknowledge() throws Exception {
    Connection connection = connect(null, plain(""));
    Session session = connection.createSession(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = session.createQueue(unique);
    send(session, queue, "1", "2", "3");
    MessageConsumer consumer = session.createConsumer(queue);
    Message first = consumer.receive(LIMIT);
    consumer.receive(LIMIT);
    first.acknowledge();
    same("3", text(consumer.receive(LIMIT)), "the third");
    session.recover();
    Message again = consumer.receive(LIMIT);
    same("3", text(again), "after recover");
    same(true, again.getJMSRedelivered(), "redelivered");
    same(2, again.getIntProperty("JMSXDeliveryCount"), "delivery count");
    connection.close();
    MessageConsumer rest = session().createConsumer(session().createQueue(unique));
    same("3", text(rest.receive(LIMIT)), "not acknowledged");
    nothing(rest);
  }

  private static void deadLetters() throws Exception {
    String name = unique;
    Session session = connect(null, plain("?jms.redeliveryPolicy.maxRedeliveries=2&jms.redeliveryPolicy.outcome=2")).createSession(Session.SESSION_TRANSACTED);
    Session watcher = session(Session.CLIENT_ACKNOWLEDGE);
    send(watcher, watcher.createQueue(name), name);
    MessageConsumer consumer = session.createConsumer(session.createQueue(name));
    for (int n = 0; n < 3; n++) {
      same(name, text(consumer.receive(LIMIT)), "try " + n);
      session.rollback();
    }
    // The client itself rejects it now.
    nothing(consumer);
    MessageConsumer dead = watcher.createConsumer(watcher.createQueue(fact(5)));
    long until = System.currentTimeMillis() + LIMIT;
    while (System.currentTimeMillis() < until) {
      Message message = dead.receive(LIMIT);
      if (message instanceof TextMessage && name.equals(text(message))) return;
    }
    throw new AssertionError("not among the dead letters");
  }

  private static void groups() throws Exception {
    Session one = connect(null, plain(narrow())).createSession();
    Session two = connect(null, plain(narrow())).createSession();
    Queue queue = one.createQueue(unique);
    MessageConsumer first = one.createConsumer(queue);
    MessageConsumer second = two.createConsumer(queue);
    Session sender = session();
    MessageProducer producer = sender.createProducer(queue);
    for (int n = 0; n < 60; n++) {
      TextMessage message = sender.createTextMessage("g" + n % 6);
      message.setStringProperty("JMSXGroupID", "g" + n % 6);
      producer.send(message);
    }
    List<Set<String>> groups = List.of(new HashSet<>(), new HashSet<>());
    int got = 0;
    long until = System.currentTimeMillis() + LIMIT;
    while (got < 60 && System.currentTimeMillis() < until) {
      MessageConsumer[] both = {first, second};
      for (int i = 0; i < 2; i++) {
        Message message = both[i].receive(50);
        if (message == null) continue;
        groups.get(i).add(text(message));
        got++;
      }
    }
    same(60, got, "received");
    same(true, Collections.disjoint(groups.get(0), groups.get(1)), "each group has one consumer");
    same(false, groups.get(0).isEmpty() || groups.get(1).isEmpty(), "one of them got nothing");
  }

  private static void temporary() throws Exception {
    Connection connection = connect(null, plain(""));
    Session session = connection.createSession();
    Session server = session();
    MessageConsumer requests = server.createConsumer(server.createQueue(unique));
    TemporaryQueue replies = session.createTemporaryQueue();
    MessageConsumer answers = session.createConsumer(replies);
    TextMessage request = session.createTextMessage("question");
    request.setJMSReplyTo(replies);
    session.createProducer(session.createQueue(unique)).send(request);
    Message asked = requests.receive(LIMIT);
    same("question", text(asked), "request");
    // An anonymous producer: the reply names its own destination.
    server.createProducer(null).send(asked.getJMSReplyTo(), server.createTextMessage("answer"));
    same("answer", text(answers.receive(LIMIT)), "reply");
    answers.close();
    replies.delete();
    try {
      server.createProducer(replies).send(server.createTextMessage("late"));
    } catch (JMSException gone) {
      return;
    }
    throw new AssertionError("a temporary queue that was deleted takes messages");
  }

  private static void temporaryTopic() throws Exception {
    Session session = session();
    TemporaryTopic news = session.createTemporaryTopic();
    MessageConsumer first = session.createConsumer(news);
    MessageConsumer second = session.createConsumer(news);
    send(session(), news, "news");
    same("news", text(first.receive(LIMIT)), "temporary topic");
    same("news", text(second.receive(LIMIT)), "temporary topic");
  }

  private static void large() throws Exception {
    Session session = session();
    Topic topic = session.createTopic(unique);
    MessageConsumer consumer = session.createConsumer(topic);
    byte[] content = new byte[10 << 20];
    for (int i = 0; i < content.length; i++) content[i] = (byte) (i * 31 + (i >> 8));
    BytesMessage message = session.createBytesMessage();
    message.writeBytes(content);
    session.createProducer(topic).send(message);
    byte[] got = ((BytesMessage) consumer.receive(LIMIT)).getBody(byte[].class);
    same(true, Arrays.equals(content, got), "ten megabytes");
  }

  private static void presettled() throws Exception {
    Connection connection = connect(null, plain("?jms.presettlePolicy.presettleAll=true&jms.prefetchPolicy.all=500"));
    Session session = connection.createSession();
    Topic topic = session.createTopic(unique);
    MessageConsumer consumer = session.createConsumer(topic);
    String[] sent = new String[500];
    for (int n = 0; n < sent.length; n++) sent[n] = "m" + n;
    send(session, topic, sent);
    same(Arrays.asList(sent), take(consumer, sent.length), "pre-settled");
  }

  private static void failover() throws Exception {
    Connection connection = connect(null, "failover:(amqp://" + fact(0) + ":1," + plain("") + ")?failover.maxReconnectAttempts=20");
    Session session = connection.createSession();
    Queue queue = session.createQueue(unique);
    send(session, queue, "1");
    same("1", text(session.createConsumer(queue).receive(LIMIT)), "by failover");
  }

  private static String secure(String host, boolean certificate) throws Skip {
    if (fact(6).isEmpty()) throw new Skip("the target has no TLS listener");
    String trust = "?transport.trustStoreLocation=" + fact(7) + "&transport.trustStorePassword=" + fact(9) + "&transport.trustStoreType=PKCS12";
    if (!certificate) return "amqps://" + host + ":" + fact(6) + trust;
    if (fact(8).isEmpty()) throw new Skip("the target has issued no certificate");
    String key = "&transport.keyStoreLocation=" + fact(8) + "&transport.keyStorePassword=" + fact(9) + "&transport.keyStoreType=PKCS12";
    return "amqps://" + host + ":" + fact(6) + trust + key + "&amqp.saslMechanisms=EXTERNAL";
  }

  private static void there(String uri, String name) throws Exception {
    Session session = connect(null, uri).createSession();
    Topic topic = session.createTopic(name);
    MessageConsumer consumer = session.createConsumer(topic);
    send(session, topic, "sealed");
    same("sealed", text(consumer.receive(LIMIT)), "there and back");
  }

  private static void tls() throws Exception {
    there(secure("localhost", false), unique);
  }

  private static void external() throws Exception {
    String uri = secure("localhost", true);
    there(uri, "dev/" + fact(10) + "/" + unique);
    Session session = connect(null, uri).createSession();
    try {
      session.createConsumer(session.createTopic("dev/another/x"));
    } catch (JMSSecurityException refused) {
      return;
    }
    throw new AssertionError("a device may read what is another's");
  }

  private static void scram() throws Exception {
    if (fact(2).isEmpty()) throw new Skip("the target asks for no password");
    there(plain("?amqp.saslMechanisms=SCRAM-SHA-256"), unique);
  }

  private static void webSocket() throws Exception {
    if (fact(11).isEmpty()) throw new Skip("the target has no WebSocket listener");
    there("amqpws://" + fact(0) + ":" + fact(11) + "/amqp", unique);
  }

  private static void wrongPassword() throws Exception {
    if (fact(2).isEmpty()) throw new Skip("the target asks for no password");
    for (String mechanism : List.of("PLAIN", "SCRAM-SHA-256")) {
      try {
        new JmsConnectionFactory(fact(2), "wrong", plain("?amqp.saslMechanisms=" + mechanism)).createConnection().start();
      } catch (JMSSecurityException refused) {
        continue;
      }
      throw new AssertionError("let in with a wrong password by " + mechanism);
    }
  }

  // --- one after the other

  private static int count;

  private static void check(String name, Check check) {
    if (!("Qpid JMS: " + name).contains(System.getProperty("only", ""))) return;
    unique = fact(4) + "x" + ++count;
    try {
      check.run();
      System.out.println("ok " + name);
    } catch (Skip why) {
      System.out.println("skip " + name + ": " + why.getMessage());
    } catch (Throwable why) {
      System.out.println("fail " + name + ": " + String.valueOf(why).replace('\n', ' ') + " at " + where(why));
    }
    closeAll();
  }

  private static final Set<String> HELPERS = Set.of("text", "take", "same", "nothing");

  private static String where(Throwable why) {
    for (StackTraceElement frame : why.getStackTrace()) {
      if (frame.getClassName().startsWith("JmsChecks") && !HELPERS.contains(frame.getMethodName())) return "line " + frame.getLineNumber();
    }
    return "?";
  }

  public static void main(String[] arguments) {
    facts = arguments;
    check("queues, and draining them", JmsChecks::queues);
    check("topics, with wildcards", JmsChecks::topics);
    check("no local", JmsChecks::noLocal);
    check("every type of message", JmsChecks::messageTypes);
    check("selectors", JmsChecks::selectors);
    check("queue browser", JmsChecks::browser);
    check("priorities", JmsChecks::priorities);
    check("time to live", JmsChecks::expiry);
    check("delivery delay", JmsChecks::delay);
    check("durable subscription, unsubscribe", JmsChecks::durableSubscription);
    check("durable subscription with a selector", JmsChecks::durableSelector);
    check("shared subscription", JmsChecks::sharedSubscription);
    check("shared durable subscription, unsubscribe", JmsChecks::sharedDurable);
    check("transacted session over queues", JmsChecks::transacted);
    check("transacted session over topics", JmsChecks::transactedTopics);
    check("client acknowledge and recover", JmsChecks::clientAcknowledge);
    check("redelivery limit of the client, dead letters", JmsChecks::deadLetters);
    check("message groups", JmsChecks::groups);
    check("temporary queue, request and reply", JmsChecks::temporary);
    check("temporary topic with two consumers", JmsChecks::temporaryTopic);
    check("ten megabytes", JmsChecks::large);
    check("pre-settled both ways", JmsChecks::presettled);
    check("failover", JmsChecks::failover);
    check("TLS", JmsChecks::tls);
    check("SASL EXTERNAL with a client certificate", JmsChecks::external);
    check("SASL SCRAM-SHA-256", JmsChecks::scram);
    check("WebSocket", JmsChecks::webSocket);
    check("a wrong password is refused", JmsChecks::wrongPassword);
    System.out.println("@end");
    // Threads of the client may linger.
    System.exit(0);
  }
}
