// Many durable sessions with a backlog each. Prints one line of JSON.
//
//   sessions make  -p PORT -n sessions                       makes them: CONNECT, SUBSCRIBE, DISCONNECT
//   sessions fill  -p PORT -n sessions -m messages each -s payload bytes
//   sessions drain -p PORT -n sessions -m messages each      takes the backlog of each, and checks that it is whole and in order

#include "connection.h"

static int count_sessions = 1000, messages_each = 10, payload_bytes = 64;
static const char *task;

enum { AT_A_TIME = 200, PUBLISHERS = 20, WINDOW = 500 };

static int opened, closed, lost;
static uint64_t answered, received, repeated, wrong;

static bool is(const char *name) { return !strcmp(task, name); }

static void end(Conn *conn) {
  uint8_t none = 0;
  put_packet(conn, DISCONNECT << 4, &none, 0);
  flush_out(conn);
  close(conn->fd);
  free(conn->out);
  free(conn->carry);
  int index = conn->index;
  memset(conn, 0, sizeof *conn);
  conn->index = index;
  conn->state = LOST; // nothing more is taken from it
  closed++;
}

/** Publisher p serves the sessions p, p + 20, …: those of one session come in order. */
static void publish_more(Conn *conn) {
  uint32_t sessions = (count_sessions - conn->index + PUBLISHERS - 1) / PUBLISHERS, all = sessions * messages_each;
  char topic[32];
  while (conn->unanswered < WINDOW && conn->sequence < all && conn->out_to - conn->out_from < 65536) {
    snprintf(topic, sizeof topic, "queue/%d", (int)(conn->index + conn->sequence % sessions * PUBLISHERS));
    uint32_t number = conn->sequence++ / sessions + 1;
    uint8_t *payload = put_publish(conn, topic, 1, payload_bytes);
    memset(payload, 'x', payload_bytes);
    memcpy(payload, &number, sizeof number);
  }
  flush_out(conn);
  if (conn->sequence == all && conn->unanswered == 0) end(conn);
}

static void on_publish(Conn *conn, uint8_t first, uint8_t *body) {
  uint8_t *rest = body + 2 + (body[0] << 8 | body[1]);
  uint32_t number;
  memcpy(&number, rest + 2, sizeof number);
  if (number == conn->sequence + 1) {
    conn->sequence = number;
    received++;
  } else if (number <= conn->sequence && first & 8) repeated++;
  else wrong++;
  put_answer(conn, PUBACK << 4, rest[0] << 8 | rest[1]);
  if (conn->sequence == (uint32_t)messages_each) end(conn);
}

static void on_packet(Conn *conn, uint8_t first, uint8_t *body, uint32_t bytes) {
  (void)bytes;
  switch (first >> 4) {
    case CONNACK:
      if (body[1] || (is("drain") && !body[0])) {
        fprintf(stderr, "session %d: CONNACK %d, session present %d\n", conn->index, body[1], body[0]);
        exit(1);
      }
      if (is("make")) send_subscribe(conn, 1);
      if (is("fill")) publish_more(conn);
      return;
    case SUBACK: end(conn); return;
    case PUBACK:
      conn->unanswered--;
      answered++;
      return;
    case PUBLISH: on_publish(conn, first, body); return;
  }
}

static void on_lost(Conn *conn) {
  (void)conn;
  lost++;
}

static void turn(void) {
  static struct epoll_event events[256];
  int count = epoll_wait(epoll_fd, events, 256, 100);
  for (int i = 0; i < count; i++) {
    Conn *conn = events[i].data.ptr;
    if (conn->state == LOST) continue;
    if (events[i].events & EPOLLOUT) flush_out(conn);
    if (events[i].events & ~EPOLLOUT) take_input(conn);
    if (conn->state == LOST) continue;
    if (is("fill")) publish_more(conn);
    else flush_out(conn);
  }
}

int main(int count, char **arguments) {
  if (count < 2) return 2;
  task = arguments[1];
  optind = 2;
  for (int option; (option = getopt(count, arguments, "h:p:n:m:s:")) > 0;) switch (option) {
      case 'h': host = optarg; break;
      case 'p': port = atoi(optarg); break;
      case 'n': count_sessions = atoi(optarg); break;
      case 'm': messages_each = atoi(optarg); break;
      case 's': payload_bytes = atoi(optarg); break;
      default: return 2;
    }
  start_epoll();
  bool fills = is("fill");
  int connections = fills ? PUBLISHERS : count_sessions;
  Conn *conns = calloc(connections, sizeof *conns);
  uint64_t start = now_ns();
  while (closed < connections && !lost && now_ns() - start < 300000000000ull) {
    while (opened < connections && opened - closed < AT_A_TIME) {
      Conn *conn = &conns[opened];
      open_connection(conn, opened++, true);
      snprintf(conn->topic, sizeof conn->topic, "queue/%d", conn->index);
      char client_id[32];
      snprintf(client_id, sizeof client_id, fills ? "filler-%d" : "queue-%d", conn->index);
      send_connect(conn, client_id, fills);
    }
    turn();
  }
  printf("{\"seconds\":%.3f,\"closed\":%d,\"lost\":%d,\"answered\":%lu,\"received\":%lu,\"repeated\":%lu,\"wrong\":%lu}\n",
         (now_ns() - start) / 1e9, closed, lost, answered, received, repeated, wrong);
  return closed == connections ? 0 : 1;
}
