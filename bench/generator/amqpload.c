// AMQP 1.0 senders and receivers in one thread, a link on a connection each: flat out, at a rate, or a number of messages. Prints one
// line of JSON.
//
//   amqpload -p PORT -P senders -S receivers -a ADDRESS -A ADDRESS [-k CAPABILITY] [-K CAPABILITY] -q settle [-Q receivers' settle]
//            -s message bytes [-w unsettled deliveries of a sender at most] [-l messages under way of a sender at most] [-C credit]
//            [-r messages a second per sender; 0: flat out] [-W warm-up s] [-d measured s]
//            [-n messages in total, instead of a time] [-f senders that filled what is drained] [-D: durable messages]
//            [-c: durable links] [-x: receivers compete] [-u USER:PASSWORD] [-m PORT: senders are MQTT devices]
//            [-B broker's pid, for its CPU]
//
// -a and -k are the senders', -A and -K the receivers'; %d in an address is the number of the sender or receiver. Settle 0: settled by
// the sender; 1: unsettled, the receiver settles first; 2: second. MQTT devices publish at QoS 1. -l counts until the receiver of the
// same number has the message: a broker that takes faster than it gives is then measured by what it gives.
//
// With -n and no receivers a queue is filled; with -n and no senders it is drained. Every payload carries when it was due, who sent it
// and its number, so that a receiver sees what was lost, repeated or out of order. At a rate, latency counts from when the message was
// due, also if the window held it back.

#include "run.h"
#include "amqp.h"

static const char *sender_address = "bench/%d/data", *receiver_address = "bench/%d/data";
static int sender_settle, receiver_settle = -1, mqtt_port, compete, filled_by;
static uint64_t total, refused, lag;

static bool has_credit(Conn *conn) {
  bool window_open = conn->unanswered < (uint32_t)window;
  if (mqtt_port) return window_open;
  if (lag && conn->sequence >= conns[conn->index].received + lag) return false;
  return may_send(conn->link) && (sender_settle == 0 || window_open) && (!total || conn->sequence < total / publishers);
}

static void put_one(Conn *conn, uint64_t due_ns) {
  if (mqtt_port) {
    fill_payload(conn, put_publish(conn, conn->topic, 1, payload_bytes), due_ns);
    return;
  }
  Link *link = conn->link;
  if (link->template_bytes + payload_bytes <= link->max_frame) {
    fill_payload(conn, put_message(conn), due_ns);
    return;
  }
  static uint8_t *payload;
  if (!payload) payload = malloc(payload_bytes);
  fill_payload(conn, payload, due_ns);
  put_long(conn, payload);
}

static void pump(Conn *conn) {
  if (!conn->publishes || conn->state != READY || stopped) return;
  if (rate) {
    if (!conn->owed || !has_credit(conn)) return;
    for (; conn->owed && has_credit(conn); conn->owed--) put_one(conn, conn->next_ns - conn->owed * period_ns());
    flush_out(conn);
    return;
  }
  for (int piece = 0; piece < 4 && conn->out_to - conn->out_from <= 16384 && has_credit(conn) && conn->state == READY; piece++) {
    uint64_t now = now_ns();
    for (int i = 0; i < 256 && has_credit(conn) && conn->out_to - conn->out_from < 65536; i++) put_one(conn, now);
    flush_out(conn);
  }
}

static void on_message(Conn *conn, const uint8_t *payload, uint32_t bytes) {
  if (bytes != (uint32_t)payload_bytes) {
    fprintf(stderr, "a payload has %u bytes\n", bytes);
    exit(1);
  }
  take_payload(conn, payload);
}

static void on_outcome(Conn *conn, bool accepted) {
  conn->answered++;
  refused += !accepted;
}

static void on_packet(Conn *conn, uint8_t first, uint8_t *body, uint32_t bytes) {
  (void)bytes;
  if (first >> 4 == CONNACK) {
    if (body[1]) lose(conn);
    else become_ready(conn);
  } else if (first >> 4 == PUBACK) {
    conn->unanswered--;
    on_outcome(conn, true);
  }
}

static void take(Conn *conn) {
  if (conn->link) take_frames(conn);
  else take_input(conn);
}

static void open_one(int at, bool sends, int index) {
  Conn *conn = &conns[at];
  conn->publishes = sends;
  snprintf(conn->topic, sizeof conn->topic, sends ? sender_address : receiver_address, index);
  if (!sends && !compete) conn->seen = calloc(known_publishers, sizeof *conn->seen);
  int amqp_port = port;
  if (sends && mqtt_port) port = mqtt_port;
  open_connection(conn, index, false);
  port = amqp_port;
  if (!sends || !mqtt_port) {
    start_link(conn, sends, conn->topic);
    return;
  }
  char client_id[32];
  snprintf(client_id, sizeof client_id, "bench-p%d", index);
  send_connect(conn, client_id, true);
}

/** Until as many messages as were asked for are sent and settled, and received; or nothing has happened for 20 s. */
static void run_total(void) {
  uint64_t before = 0, quiet_since = now_ns(), beat = now_ns();
  for (int i = 0; i < publishers; i++) pump(&conns[subscribers + i]);
  while (!lost && now_ns() - quiet_since < 20000000000ull) {
    turn(1);
    uint64_t now = now_ns(), answered = 0, received = 0;
    for (int i = 0; i < subscribers + publishers; i++) {
      Conn *conn = &conns[i];
      if (conn->publishes && conn->out_from == conn->out_to) pump(conn);
      if (now - beat > 1000000000ull) put_frame(conn, 0, input, 0), flush_out(conn);
      answered += sender_settle ? conn->answered : conn->sequence;
      received += conn->received;
    }
    if (now - beat > 1000000000ull) beat = now;
    if ((!publishers || answered >= total / publishers * publishers) && (!subscribers || received >= total)) return;
    if (answered + received != before) quiet_since = now;
    before = answered + received;
  }
}

static void read_options(int count, char **arguments) {
  for (int option; (option = getopt(count, arguments, "h:p:P:S:a:A:k:K:q:Q:s:w:l:C:r:W:d:n:f:Dcxu:m:B:")) > 0;) switch (option) {
      case 'h': host = optarg; break;
      case 'p': port = atoi(optarg); break;
      case 'P': publishers = atoi(optarg); break;
      case 'S': subscribers = atoi(optarg); break;
      case 'a': sender_address = optarg; break;
      case 'A': receiver_address = optarg; break;
      case 'k': amqp.capability[1] = optarg; break;
      case 'K': amqp.capability[0] = optarg; break;
      case 'q': sender_settle = atoi(optarg); break;
      case 'Q': receiver_settle = atoi(optarg); break;
      case 's': payload_bytes = atoi(optarg); break;
      case 'w': window = atoi(optarg); break;
      case 'l': lag = atoi(optarg); break;
      case 'C': amqp.credit = atoi(optarg); break;
      case 'r': rate = atoi(optarg); break;
      case 'W': warm_s = atoi(optarg); break;
      case 'd': measured_s = atoi(optarg); break;
      case 'n': total = atoll(optarg); break;
      case 'f': filled_by = atoi(optarg); break;
      case 'D': amqp.durable_messages = true; break;
      case 'c': amqp.durable_link = true; break;
      case 'x': compete = 1; break;
      case 'u':
        amqp.password = strchr(optarg, ':') + 1;
        amqp.user = strndup(optarg, amqp.password - optarg - 1);
        break;
      case 'm': mqtt_port = atoi(optarg); break;
      case 'B': broker_pid = atoi(optarg); break;
      default: exit(2);
    }
  if (receiver_settle < 0) receiver_settle = sender_settle;
  amqp.settle[0] = receiver_settle;
  amqp.settle[1] = sender_settle;
  amqp.message_bytes = payload_bytes;
  known_publishers = publishers + filled_by;
  if (window > MOST_UNSETTLED) window = MOST_UNSETTLED;
}

int main(int count, char **arguments) {
  port = 5672;
  read_options(count, arguments);
  start_epoll();
  Moment start = moment();
  conns = calloc(publishers + subscribers, sizeof *conns);
  for (int i = 0; i < subscribers; i++) open_one(i, false, i);
  wait_ready(subscribers);
  for (int i = 0; i < publishers; i++) open_one(subscribers + i, true, i);
  wait_ready(subscribers + publishers);
  Moment from, to;
  if (total) {
    measuring = true;
    from = moment();
    run_total();
    to = moment();
  } else {
    measure(&from, &to);
    finish(sender_settle > 0 || mqtt_port);
  }
  uint64_t settled = 0, uncredited = 0;
  for (int i = 0; i < subscribers; i++) settled += conns[i].link->settled, uncredited += conns[i].link->uncredited;
  char more[128];
  snprintf(more, sizeof more, "\"refused\":%lu,\"settled\":%lu,\"uncredited\":%lu,", refused, settled, uncredited);
  report(start, from, to, more);
  return 0;
}
