// Publishers and subscribers in one thread: flat out or at a rate. Prints one line of JSON.
//
//   load -p PORT -t 1to1|fanin|fanout|all|share -P publishers -S subscribers -q qos [-Q subscribers' qos] -s payload bytes
//        [-w unanswered publishes at most] [-r messages a second per publisher; 0: flat out] [-W warm-up s] [-d measured s]
//        [-c: durable subscribers] [-B broker's pid, for its CPU and memory]
//
// Every payload carries when it was due, who sent it and its number, so that a subscriber sees what was lost, repeated or out of
// order. At a rate, latency counts from when the message was due, also if the window held it back.

#include "run.h"

static int publish_qos, subscribe_qos = -1, durable;
static const char *topology = "1to1";

// --- publishing

static void put_one(Conn *conn, uint64_t due_ns) {
  uint8_t *payload = put_publish(conn, conn->topic, publish_qos, payload_bytes);
  fill_payload(conn, payload, due_ns);
}

static bool has_credit(Conn *conn) { return publish_qos == 0 || conn->unanswered < (uint32_t)window; }

/** At a rate, what is owed; flat out, as much as the window or the socket takes, in pieces. */
static void pump(Conn *conn) {
  if (!conn->publishes || conn->state != READY || stopped) return;
  if (rate) {
    if (!conn->owed || !has_credit(conn)) return;
    for (; conn->owed && has_credit(conn); conn->owed--) put_one(conn, conn->next_ns - conn->owed * period_ns());
    flush_out(conn);
    return;
  }
  if (publish_qos) {
    if (conn->out_to - conn->out_from > 16384 || !has_credit(conn)) return;
    uint64_t now = now_ns();
    for (int i = 0; i < 256 && has_credit(conn); i++) put_one(conn, now);
    flush_out(conn);
    return;
  }
  for (int piece = 0; piece < 4 && conn->out_from == conn->out_to && conn->state == READY; piece++) {
    uint64_t now = now_ns();
    for (int i = 0; i < 64; i++) put_one(conn, now);
    flush_out(conn);
  }
}

// --- receiving

static void on_publish(Conn *conn, uint8_t first, uint8_t *body, uint32_t bytes) {
  int qos = first >> 1 & 3;
  uint8_t *payload = body + 2 + (body[0] << 8 | body[1]);
  uint16_t packet_id = 0;
  if (qos) {
    packet_id = payload[0] << 8 | payload[1];
    payload += 2;
  }
  if (body + bytes - payload != payload_bytes) {
    fprintf(stderr, "a payload has %ld bytes\n", (long)(body + bytes - payload));
    exit(1);
  }
  take_payload(conn, payload);
  if (qos == 1) put_answer(conn, PUBACK << 4, packet_id);
  if (qos == 2) put_answer(conn, PUBREC << 4, packet_id);
}

static void on_packet(Conn *conn, uint8_t first, uint8_t *body, uint32_t bytes) {
  switch (first >> 4) {
    case CONNACK:
      if (body[1]) {
        fprintf(stderr, "refused: CONNACK %d\n", body[1]);
        lose(conn);
      } else if (conn->publishes) become_ready(conn);
      else send_subscribe(conn, subscribe_qos);
      return;
    case SUBACK:
      if (body[2] >= 128) fprintf(stderr, "refused: SUBACK %d\n", body[2]);
      become_ready(conn);
      return;
    case PUBLISH: on_publish(conn, first, body, bytes); return;
    case PUBREC: put_answer(conn, PUBREL << 4 | 2, body[0] << 8 | body[1]); return;
    case PUBREL: put_answer(conn, PUBCOMP << 4, body[0] << 8 | body[1]); return;
    case PUBACK:
    case PUBCOMP:
      conn->unanswered--;
      conn->answered++;
      return;
  }
}

static void take(Conn *conn) { take_input(conn); }

// --- the run

static void open_one(int at, bool publishes, int index) {
  Conn *conn = &conns[at];
  conn->publishes = publishes;
  const char *form = !strcmp(topology, "1to1")                  ? "bench/%d/data"
                     : !strcmp(topology, "fanin") && !publishes ? "bench/#"
                     : !strcmp(topology, "all") && !publishes   ? "#"
                     : !strcmp(topology, "share") && !publishes ? "$share/g/bench/#"
                     : !strcmp(topology, "fanout")              ? "bench/all"
                                                                : "bench/%d/data";
  snprintf(conn->topic, sizeof conn->topic, form, index);
  if (!publishes && strcmp(topology, "share")) conn->seen = calloc(publishers, sizeof *conn->seen);
  open_connection(conn, index, false);
  char client_id[32];
  snprintf(client_id, sizeof client_id, "bench-%c%d", publishes ? 'p' : 's', index);
  send_connect(conn, client_id, publishes || !durable);
}

int main(int count, char **arguments) {
  for (int option; (option = getopt(count, arguments, "h:p:t:P:S:q:Q:s:w:r:W:d:cB:")) > 0;) switch (option) {
      case 'h': host = optarg; break;
      case 'p': port = atoi(optarg); break;
      case 't': topology = optarg; break;
      case 'P': publishers = atoi(optarg); break;
      case 'S': subscribers = atoi(optarg); break;
      case 'q': publish_qos = atoi(optarg); break;
      case 'Q': subscribe_qos = atoi(optarg); break;
      case 's': payload_bytes = atoi(optarg); break;
      case 'w': window = atoi(optarg); break;
      case 'r': rate = atoi(optarg); break;
      case 'W': warm_s = atoi(optarg); break;
      case 'd': measured_s = atoi(optarg); break;
      case 'c': durable = 1; break;
      case 'B': broker_pid = atoi(optarg); break;
      default: return 2;
    }
  if (subscribe_qos < 0) subscribe_qos = publish_qos;
  known_publishers = publishers;
  start_epoll();
  Moment start = moment();
  conns = calloc(publishers + subscribers, sizeof *conns);
  for (int i = 0; i < subscribers; i++) open_one(i, false, i);
  wait_ready(subscribers);
  for (int i = 0; i < publishers; i++) open_one(subscribers + i, true, i);
  wait_ready(subscribers + publishers);
  Moment from, to;
  measure(&from, &to);
  finish(publish_qos > 0);
  report(start, from, to, "");
  return 0;
}
