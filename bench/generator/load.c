// Publishers and subscribers in one thread: flat out or at a rate. Prints one line of JSON.
//
//   load -p PORT -t 1to1|fanin|fanout|all|share -P publishers -S subscribers -q qos [-Q subscribers' qos] -s payload bytes
//        [-w unanswered publishes at most] [-r messages a second per publisher; 0: flat out] [-W warm-up s] [-d measured s]
//        [-c: durable subscribers] [-B broker's pid, for its CPU and memory]
//
// Every payload carries when it was due, who sent it and its number, so that a subscriber sees what was lost, repeated or out of
// order. At a rate, latency counts from when the message was due, also if the window held it back.

#include "connection.h"

typedef struct {
  uint64_t due_ns;
  uint32_t publisher, sequence;
} Stamp;

static int publishers = 1, subscribers = 1, publish_qos, subscribe_qos = -1, payload_bytes = 64, window = 100, rate, durable;
static int measured_s = 5, warm_s = 1, broker_pid;
static const char *topology = "1to1";

static Conn *conns; // subscribers first
static int ready, lost;
static bool measuring, stopped;
static uint64_t sent_measured, received_measured, gaps, repeated;

// --- latency: 64 steps per power of two

enum { STEPS = 64, BUCKETS = STEPS * 40 };
static uint64_t latency[BUCKETS], lateness[BUCKETS];

static void note(uint64_t *histogram, uint64_t us) {
  int bucket = us;
  if (us >= STEPS) {
    int power = 63 - __builtin_clzll(us);
    bucket = STEPS + (power - 6) * STEPS + ((us >> (power - 6)) & (STEPS - 1));
  }
  histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static uint64_t bucket_us(int bucket) {
  if (bucket < STEPS) return bucket;
  int power = (bucket - STEPS) / STEPS + 6;
  return (1ull << power) | ((uint64_t)((bucket - STEPS) % STEPS) << (power - 6));
}

static uint64_t quantile(const uint64_t *histogram, double part) {
  uint64_t total = 0, below = 0;
  for (int i = 0; i < BUCKETS; i++) total += histogram[i];
  for (int i = 0; i < BUCKETS && total; i++)
    if ((below += histogram[i]) >= part * total) return bucket_us(i);
  return 0;
}

// --- publishing

static uint64_t period_ns(void) { return 1000000000ull / rate; }

static void put_one(Conn *conn, uint64_t due_ns) {
  uint8_t *payload = put_publish(conn, conn->topic, publish_qos, payload_bytes);
  memset(payload, 'x', payload_bytes);
  Stamp stamp = {due_ns, conn->index, ++conn->sequence};
  if (payload_bytes >= (int)sizeof stamp) memcpy(payload, &stamp, sizeof stamp);
  sent_measured += measuring;
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

static uint64_t input_ns;

static void on_publish(Conn *conn, uint8_t first, uint8_t *body, uint32_t bytes) {
  int qos = first >> 1 & 3;
  uint8_t *payload = body + 2 + (body[0] << 8 | body[1]);
  uint16_t packet_id = 0;
  if (qos) {
    packet_id = payload[0] << 8 | payload[1];
    payload += 2;
  }
  conn->received++;
  if (measuring) received_measured++;
  Stamp stamp;
  if (body + bytes - payload != payload_bytes) {
    fprintf(stderr, "a payload has %ld bytes\n", (long)(body + bytes - payload));
    exit(1);
  }
  if (payload_bytes >= (int)sizeof stamp) {
    memcpy(&stamp, payload, sizeof stamp);
    if (measuring && input_ns > stamp.due_ns) note(latency, (input_ns - stamp.due_ns) / 1000);
    if (conn->seen && stamp.publisher < (uint32_t)publishers) {
      uint32_t *seen = &conn->seen[stamp.publisher];
      if (stamp.sequence > *seen) {
        gaps += stamp.sequence - *seen - 1;
        *seen = stamp.sequence;
      } else repeated++;
    }
  }
  if (qos == 1) put_answer(conn, PUBACK << 4, packet_id);
  if (qos == 2) put_answer(conn, PUBREC << 4, packet_id);
}

static void become_ready(Conn *conn) {
  conn->state = READY;
  ready++;
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

static void on_lost(Conn *conn) {
  (void)conn;
  lost++;
}

/** Returns how many connections had something. */
static int turn(int wait_ms) {
  static struct epoll_event events[512];
  int count = epoll_wait(epoll_fd, events, 512, wait_ms);
  for (int i = 0; i < count; i++) {
    Conn *conn = events[i].data.ptr;
    if (conn->state == LOST) continue;
    if (events[i].events & EPOLLOUT) flush_out(conn);
    if (events[i].events & ~EPOLLOUT) {
      input_ns = now_ns();
      take_input(conn);
      if (conn->state != LOST && conn->out_to > conn->out_from) flush_out(conn);
    }
    pump(conn);
  }
  return count;
}

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

static void wait_ready(int count) {
  uint64_t until = now_ns() + 30000000000ull;
  while (ready < count && !lost && now_ns() < until) turn(100);
  if (ready < count) {
    fprintf(stderr, "only %d of %d connections are ready\n", ready, count);
    exit(1);
  }
}

/** Publishers in the order in which they are due: all have the same period, so the one served goes to the end. */
static Conn **due;
static int due_first;

static int by_next(const void *a, const void *b) {
  uint64_t left = (*(Conn *const *)a)->next_ns, right = (*(Conn *const *)b)->next_ns;
  return (left > right) - (left < right);
}

static void plan(void) {
  due = calloc(publishers, sizeof *due);
  uint64_t start = now_ns();
  for (int i = 0; i < publishers; i++) {
    due[i] = &conns[subscribers + i];
    due[i]->next_ns = start + (uint64_t)(drand48() * period_ns());
  }
  qsort(due, publishers, sizeof *due, by_next);
}

/** Sends what is due. Returns how many publishers had something. */
static int send_due(void) {
  int served = 0;
  for (uint64_t now = now_ns(); due[due_first]->next_ns <= now && served < 100; served++) {
    Conn *conn = due[due_first];
    due_first = (due_first + 1) % publishers;
    if (measuring) note(lateness, (now - conn->next_ns) / 1000);
    conn->next_ns += period_ns();
    conn->owed++;
    pump(conn);
  }
  return served;
}

typedef struct {
  uint64_t at_ns, idle_ns;
  double own_s, broker_s;
} Moment;

static uint64_t idle_ns;

static Moment moment(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  Moment m = {now_ns(), idle_ns, 0, 0};
  m.own_s = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  char path[64], line[1024] = "";
  snprintf(path, sizeof path, "/proc/%d/stat", broker_pid);
  FILE *file = broker_pid ? fopen(path, "r") : 0;
  if (file) {
    unsigned long user = 0, system = 0;
    if (fgets(line, sizeof line, file)) sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    m.broker_s = (double)(user + system) / sysconf(_SC_CLK_TCK);
    fclose(file);
  }
  return m;
}

static void run_until(uint64_t end_ns) {
  while (now_ns() < end_ns && !lost) {
    if (!rate) {
      turn(1);
      for (int i = 0; i < publishers; i++)
        if (conns[subscribers + i].out_from == conns[subscribers + i].out_to) pump(&conns[subscribers + i]);
      continue;
    }
    // Messages are due every few microseconds: no sleep, but the time without work is counted.
    uint64_t start = now_ns();
    if (turn(0) == 0 && send_due() == 0) idle_ns += now_ns() - start;
  }
}

/** After the last publish: until nothing more arrives. Above QoS 0 everything has to; below, a slow broker is not waited for. */
static void finish(void) {
  uint64_t until = now_ns() + (publish_qos ? 10000000000ull : 1000000000ull), received = 0, quiet_since = now_ns();
  while (now_ns() < until && now_ns() - quiet_since < 500000000ull) {
    turn(20);
    uint64_t sum = 0;
    for (int i = 0; i < subscribers; i++) sum += conns[i].received;
    if (sum != received) quiet_since = now_ns();
    received = sum;
  }
}

static void report(Moment start, Moment from, Moment to) {
  uint64_t sent = 0, answered = 0, received = 0;
  for (int i = 0; i < subscribers; i++) received += conns[i].received;
  for (int i = subscribers; i < subscribers + publishers; i++) {
    sent += conns[i].sequence;
    answered += conns[i].answered;
  }
  double s = (to.at_ns - from.at_ns) / 1e9, busy = (to.own_s - from.own_s) / s;
  if (rate) busy = 1 - (to.idle_ns - from.idle_ns) / 1e9 / s;
  printf("{\"seconds\":%.3f,\"sent\":%lu,\"answered\":%lu,\"received\":%lu,\"gaps\":%lu,\"repeated\":%lu,\"lost_connections\":%d,", s, sent,
         answered, received, gaps, repeated, lost);
  printf("\"sent_per_s\":%.0f,\"received_per_s\":%.0f,\"broker_cpu_s\":%.3f,\"all_broker_cpu_s\":%.3f,\"generator_busy\":%.3f,",
         sent_measured / s, received_measured / s, to.broker_s - from.broker_s, moment().broker_s - start.broker_s, busy);
  printf("\"p50_us\":%lu,\"p90_us\":%lu,\"p99_us\":%lu,\"p999_us\":%lu,\"max_us\":%lu,\"late_p99_us\":%lu}\n", quantile(latency, .5),
         quantile(latency, .9), quantile(latency, .99), quantile(latency, .999), quantile(latency, 1), quantile(lateness, .99));
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
  start_epoll();
  Moment start = moment();
  conns = calloc(publishers + subscribers, sizeof *conns);
  for (int i = 0; i < subscribers; i++) open_one(i, false, i);
  wait_ready(subscribers);
  for (int i = 0; i < publishers; i++) open_one(subscribers + i, true, i);
  wait_ready(subscribers + publishers);
  if (rate) plan();
  for (int i = 0; i < publishers; i++) pump(&conns[subscribers + i]);
  run_until(now_ns() + warm_s * 1000000000ull);
  measuring = true;
  Moment from = moment();
  run_until(from.at_ns + measured_s * 1000000000ull);
  Moment to = moment();
  measuring = false;
  stopped = true;
  finish();
  report(start, from, to);
  return 0;
}
