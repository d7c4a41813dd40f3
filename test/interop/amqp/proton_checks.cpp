// Checks with Qpid Proton for C++. Prints `ok NAME`, `skip NAME: WHY` or `fail NAME: WHY`, and `@end`.
//
//   checks HOST PORT USERNAME PASSWORD UNIQUE DEAD_LETTERS [TLS_PORT CA_FILE CERT_FILE KEY_FILE DEVICE]

#include <proton/codec/encoder.hpp>
#include <proton/connection.hpp>
#include <proton/connection_options.hpp>
#include <proton/container.hpp>
#include <proton/delivery.hpp>
#include <proton/error_condition.hpp>
#include <proton/map.hpp>
#include <proton/message.hpp>
#include <proton/messaging_handler.hpp>
#include <proton/receiver.hpp>
#include <proton/receiver_options.hpp>
#include <proton/sender.hpp>
#include <proton/sender_options.hpp>
#include <proton/source.hpp>
#include <proton/source_options.hpp>
#include <proton/ssl.hpp>
#include <proton/symbol.hpp>
#include <proton/target.hpp>
#include <proton/target_options.hpp>
#include <proton/tracker.hpp>
#include <proton/transport.hpp>
#include <proton/types.hpp>
#include <proton/uuid.hpp>
#include <proton/work_queue.hpp>

#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

using proton::message;
using std::string;
using std::vector;

namespace {

const proton::duration limit(15000), tick(20);

vector<string> facts;

string fact(size_t index) { return index < facts.size() ? facts[index] : ""; }

struct skip : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void expect(bool holds, const string &what) {
  if (!holds) throw std::runtime_error(what);
}

string text(const message &m) {
  if (m.body().type() == proton::BINARY) {
    auto bytes = proton::get<proton::binary>(m.body());
    return string(bytes.begin(), bytes.end());
  }
  return m.body().type() == proton::STRING ? proton::get<string>(m.body()) : proton::to_string(m.body());
}

string plain_url() { return "amqp://" + fact(0) + ":" + fact(1); }

proton::connection_options login() {
  proton::connection_options options;
  options.sasl_enabled(true);
  if (fact(2).empty()) return options.sasl_allowed_mechs("ANONYMOUS");
  return options.user(fact(2)).password(fact(3)).sasl_allowed_mechs("PLAIN").sasl_allow_insecure_mechs(true);
}

proton::source_options source_of(const string &capability) {
  return proton::source_options().capabilities({proton::symbol(capability)});
}

proton::target_options target_of(const string &capability) {
  return proton::target_options().capabilities({proton::symbol(capability)});
}

/** One connection: attaches a receiver, then a sender, sends, and ends once as much as was expected has come. */
struct exchange : proton::messaging_handler {
  string url = plain_url(), container_id, source, target;
  proton::connection_options connection_options = login();
  proton::receiver_options receiver_options;
  proton::sender_options sender_options;
  bool receives = true, sends = true, leaves_terminus = false, drains = false;
  vector<message> messages;
  size_t expected = 0, outcomes_expected = 0;
  /** What is done with a message; the default accepts it. */
  std::function<void(proton::delivery &, const message &)> settle;

  vector<message> got;
  vector<bool> settled_on_arrival;
  vector<string> outcomes;
  string problem, source_address;
  bool drained = false;

  void run() {
    proton::container container(*this, container_id.empty() ? proton::uuid::random().str() : container_id);
    container.run();
    if (!problem.empty()) throw std::runtime_error(problem);
  }

  vector<string> texts() const {
    vector<string> found;
    for (auto &m : got) found.push_back(text(m));
    return found;
  }

 private:
  proton::connection connection;
  proton::sender sender;
  proton::receiver receiver;
  bool over = false;
  int ticks = 0;
  size_t sent = 0;

  void end(const string &why = "") {
    if (over) return;
    over = true;
    problem = why;
    if (leaves_terminus && receiver.active()) receiver.detach();
    connection.close();
  }

  void look() {
    bool all = got.size() >= expected && outcomes.size() >= outcomes_expected && sent == messages.size();
    if (all && (!drains || drained)) end();
  }

  /** In small steps: a container does not end before what is scheduled. */
  void watch(proton::container &container) {
    container.schedule(tick, [this, &container] {
      if (over) return;
      if (++ticks * tick.milliseconds() < limit.milliseconds()) return watch(container);
      end("got " + std::to_string(got.size()) + " messages and " + std::to_string(outcomes.size()) + " outcomes in time");
    });
  }

  void on_container_start(proton::container &container) override {
    connection = container.connect(url, connection_options);
    watch(container);
  }

  void on_connection_open(proton::connection &opened) override {
    connection = opened;
    if (receives) receiver = opened.open_receiver(source, receiver_options);
    else if (sends) sender = opened.open_sender(target, sender_options);
  }

  void on_receiver_open(proton::receiver &opened) override {
    source_address = opened.source().address();
    if (drains) {
      opened.add_credit(20);
      opened.drain();
    }
    if (!sends) return;
    sender = connection.open_sender(target.empty() ? source_address : target, sender_options);
  }

  void on_sendable(proton::sender &ready) override {
    while (sent < messages.size() && ready.credit() > 0) ready.send(messages[sent++]);
    look();
  }

  void on_message(proton::delivery &delivery, message &m) override {
    got.push_back(m);
    settled_on_arrival.push_back(delivery.settled());
    if (settle) settle(delivery, m);
    else delivery.accept();
    look();
  }

  void on_receiver_drain_finish(proton::receiver &) override {
    drained = true;
    look();
  }

  void note(const string &outcome) {
    outcomes.push_back(outcome);
    look();
  }

  void on_tracker_accept(proton::tracker &) override { note("accepted"); }
  void on_tracker_reject(proton::tracker &) override { note("rejected"); }
  void on_tracker_release(proton::tracker &) override { note("released"); }

  void on_transport_error(proton::transport &transport) override {
    if (!over) problem = "transport: " + transport.error().what();
    over = true;
  }
  void on_connection_error(proton::connection &c) override { end("connection: " + c.error().what()); }
  void on_session_error(proton::session &) override { end("session"); }
  void on_receiver_error(proton::receiver &r) override { end("receiver: " + r.error().what()); }
  void on_sender_error(proton::sender &s) override { end("sender: " + s.error().what()); }
  void on_error(const proton::error_condition &error) override { end("error: " + error.what()); }
};

// The options take references that are not constant.
void from(exchange &e, proton::source_options options) { e.receiver_options.source(options); }
void to(exchange &e, proton::target_options options) { e.sender_options.target(options); }

vector<message> numbered(int count) {
  vector<message> made;
  for (int n = 0; n < count; n++) {
    message m(string("m") + std::to_string(n));
    m.durable(true);
    made.push_back(m);
  }
  return made;
}

void same(const vector<string> &expected, const vector<string> &actual) {
  string shown;
  for (auto &one : actual) shown += one + " ";
  expect(expected == actual, "got " + shown);
}

void same(const vector<message> &expected, const exchange &e) {
  vector<string> wanted;
  for (auto &m : expected) wanted.push_back(text(m));
  same(wanted, e.texts());
}

// --- checks

void settle_modes(const string &unique) {
  for (auto send : {proton::delivery_mode::AT_MOST_ONCE, proton::delivery_mode::AT_LEAST_ONCE}) {
    for (auto receive : {proton::delivery_mode::AT_MOST_ONCE, proton::delivery_mode::AT_LEAST_ONCE}) {
      exchange e;
      e.source = e.target = unique + "/" + std::to_string(int(send)) + std::to_string(int(receive));
      e.receiver_options.delivery_mode(receive);
      e.sender_options.delivery_mode(send);
      from(e, source_of("topic"));
      to(e, target_of("topic"));
      e.messages = numbered(200);
      e.expected = 200;
      e.outcomes_expected = send == proton::delivery_mode::AT_MOST_ONCE ? 0 : 200;
      e.run();
      same(e.messages, e);
      for (auto &outcome : e.outcomes) expect(outcome == "accepted", outcome);
      for (bool settled : e.settled_on_arrival) {
        expect(settled == (receive == proton::delivery_mode::AT_MOST_ONCE), "settled on arrival");
      }
    }
  }
}

exchange filling(const string &queue, const vector<message> &messages) {
  exchange e;
  e.receives = false;
  e.target = queue;
  to(e, target_of("queue"));
  e.messages = messages;
  e.outcomes_expected = messages.size();
  e.run();
  return e;
}

exchange taking(const string &queue, size_t count) {
  exchange e;
  e.sends = false;
  e.source = queue;
  from(e, source_of("queue"));
  e.receiver_options.auto_accept(false);
  e.expected = count;
  return e;
}

void outcomes(const string &unique) {
  filling(unique, numbered(1));
  int round = 0;
  auto e = taking(unique, 4);
  e.settle = [&round](proton::delivery &delivery, const message &m) {
    // Released: no attempt. Modified, as this client says it, is one that did not fail, either.
    expect(m.delivery_count() == 0, "delivery count " + std::to_string(m.delivery_count()));
    if (round < 2) delivery.release();
    else if (round == 2) delivery.modify();
    else delivery.reject();
    round++;
  };
  e.run();
  auto dead = taking(fact(5), 1);
  dead.settle = [](proton::delivery &delivery, const message &) { delivery.accept(); };
  dead.run();
}

void drain(const string &unique) {
  filling(unique, numbered(3));
  auto e = taking(unique, 3);
  e.receiver_options.credit_window(0);
  e.drains = true;
  e.settle = [](proton::delivery &delivery, const message &) { delivery.accept(); };
  e.run();
  same(numbered(3), e);
}

void browse(const string &unique) {
  filling(unique, numbered(3));
  for (int round = 0; round < 3; round++) {
    auto e = taking(unique, 3);
    auto options = source_of("queue");
    if (round < 2) options.distribution_mode(proton::source::COPY);
    from(e, options);
    e.settle = [](proton::delivery &delivery, const message &) { delivery.accept(); };
    e.run();
    same(numbered(3), e);
  }
}

void selector(const string &unique) {
  exchange e;
  e.source = e.target = unique;
  proton::source::filter_map filters;
  proton::value described;
  proton::codec::encoder encoder(described);
  encoder << proton::codec::start::described() << proton::symbol("apache.org:selector-filter:string")
          << string("n >= 2 AND colour = 'red'") << proton::codec::finish();
  filters.put("selector", described);
  from(e, source_of("topic").filters(filters));
  to(e, target_of("topic"));
  for (int n = 0; n < 6; n++) {
    message m(std::to_string(n));
    m.properties().put("n", n);
    m.properties().put("colour", string(n % 2 ? "blue" : "red"));
    e.messages.push_back(m);
  }
  e.expected = 2;
  e.outcomes_expected = 6;
  e.run();
  same({"2", "4"}, e.texts());
}

exchange subscribing(const string &unique) {
  exchange e;
  e.container_id = unique + "-container";
  e.source = unique;
  e.receiver_options.name(unique + "-sub");
  from(e, source_of("topic").durability_mode(proton::source::UNSETTLED_STATE).expiry_policy(proton::source::NEVER));
  e.leaves_terminus = true;
  return e;
}

void publish(const string &topic, const vector<message> &messages) {
  exchange e;
  e.receives = false;
  e.target = topic;
  to(e, target_of("topic"));
  e.messages = messages;
  e.outcomes_expected = messages.size();
  e.run();
}

void durable(const string &unique) {
  auto first = subscribing(unique);
  first.target = unique;
  first.messages = numbered(1);
  first.expected = 1;
  first.outcomes_expected = 1;
  first.run();
  publish(unique, numbered(3));
  auto again = subscribing(unique);
  again.sends = false;
  again.expected = 3;
  again.leaves_terminus = false;
  again.run();
  same(numbered(3), again);
}

void dynamic(const string &) {
  exchange e;
  from(e, proton::source_options().dynamic(true));
  e.messages = numbered(5);
  e.expected = e.outcomes_expected = 5;
  e.run();
  same(e.messages, e);
  expect(!e.source_address.empty(), "the broker chose no address");
}

void priorities(const string &unique) {
  vector<message> messages;
  for (int priority : {1, 9, 4, 0, 9}) {
    message m("p" + std::to_string(priority));
    m.priority(priority);
    messages.push_back(m);
  }
  filling(unique, messages);
  auto e = taking(unique, 5);
  e.settle = [](proton::delivery &delivery, const message &) { delivery.accept(); };
  e.run();
  same({"p9", "p9", "p4", "p1", "p0"}, e.texts());
}

void large(const string &unique) {
  proton::binary body(10 << 20);
  for (size_t i = 0; i < body.size(); i++) body[i] = i * 31 + (i >> 8);
  exchange e;
  e.source = e.target = unique;
  from(e, source_of("topic"));
  to(e, target_of("topic"));
  message m(body);
  m.inferred(true);
  e.messages.push_back(m);
  e.expected = e.outcomes_expected = 1;
  e.run();
  expect(proton::get<proton::binary>(e.got[0].body()) == body, "the body changed on its way");
}

void types(const string &unique) {
  exchange e;
  e.source = e.target = unique;
  from(e, source_of("topic"));
  to(e, target_of("topic"));
  message m(string("body"));
  m.id(proton::uuid::random());
  m.correlation_id(uint64_t(7));
  m.subject("subject");
  m.reply_to("reply");
  m.content_type("t/x");
  m.group_id("g");
  m.properties().put("decimal", proton::decimal64());
  m.properties().put("char", wchar_t(0x1f600));
  m.properties().put("symbol", proton::symbol("s"));
  m.properties().put("timestamp", proton::timestamp(1700000000123));
  m.message_annotations().put(proton::symbol("x-opt-mine"), int8_t(-5));
  e.messages.push_back(m);
  e.expected = e.outcomes_expected = 1;
  e.run();
  auto &got = e.got[0];
  expect(got.id() == m.id(), "message-id");
  expect(got.correlation_id() == m.correlation_id(), "correlation-id");
  expect(got.subject() == m.subject() && got.reply_to() == m.reply_to() && got.content_type() == m.content_type(), "properties");
  expect(got.group_id() == m.group_id(), "group-id");
  for (auto name : {"decimal", "char", "symbol", "timestamp"}) expect(got.properties().get(name) == m.properties().get(name), name);
  expect(got.message_annotations().get(proton::symbol("x-opt-mine")) == proton::scalar(int8_t(-5)), "annotation");
}

void external(const string &unique) {
  if (fact(6).empty()) throw skip("the target has no TLS listener");
  if (fact(8).empty()) throw skip("the target has issued no certificate");
  auto secure = [&](const string &topic) {
    exchange e;
    e.url = "amqps://localhost:" + fact(6);
    proton::ssl_client_options ssl(proton::ssl_certificate(fact(8), fact(9)), fact(7), proton::ssl::VERIFY_PEER_NAME);
    e.connection_options = proton::connection_options().ssl_client_options(ssl).sasl_allowed_mechs("EXTERNAL");
    e.source = e.target = topic;
    from(e, source_of("topic"));
    to(e, target_of("topic"));
    e.messages = numbered(1);
    e.expected = e.outcomes_expected = 1;
    return e;
  };
  auto own = secure("dev/" + fact(10) + "/" + unique);
  own.run();
  same(own.messages, own);
  auto other = secure("dev/another/" + unique);
  try {
    other.run();
  } catch (const std::exception &refused) {
    expect(string(refused.what()).find("amqp:unauthorized-access") != string::npos, refused.what());
    return;
  }
  throw std::runtime_error("a device may use what is another's");
}

void wrong_password(const string &unique) {
  if (fact(2).empty()) throw skip("the target asks for no password");
  exchange e;
  e.source = unique;
  e.connection_options.password("wrong");
  try {
    e.run();
  } catch (const std::exception &refused) {
    expect(string(refused.what()).find("amqp:unauthorized-access") != string::npos, refused.what());
    return;
  }
  throw std::runtime_error("let in");
}

}  // namespace

int main(int count, char **arguments) {
  facts.assign(arguments + 1, arguments + count);
  const vector<std::pair<string, void (*)(const string &)>> checks = {
      {"settle modes", settle_modes},
      {"released, modified, rejected", outcomes},
      {"drain", drain},
      {"browsing", browse},
      {"selector", selector},
      {"durable subscription", durable},
      {"dynamic node", dynamic},
      {"priorities", priorities},
      {"ten megabytes", large},
      {"types of a message", types},
      {"SASL EXTERNAL with a client certificate", external},
      {"a wrong password is refused", wrong_password},
  };
  int index = 0;
  for (auto &[name, check] : checks) {
    try {
      check(fact(4) + "x" + std::to_string(index++));
      std::cout << "ok " << name << std::endl;
    } catch (const skip &why) {
      std::cout << "skip " << name << ": " << why.what() << std::endl;
    } catch (const std::exception &why) {
      std::cout << "fail " << name << ": " << why.what() << std::endl;
    }
  }
  std::cout << "@end" << std::endl;
  return 0;
}
