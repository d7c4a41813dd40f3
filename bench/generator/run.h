// What generators of load share: publishers and subscribers that run flat out or at a rate, what each payload carries, and the report.
// A program that includes this defines `pump`, `take` and `on_packet`.

#include "connection.h"

/** At a rate, sends what is owed; flat out, as much as the window or the socket takes. */
static void pump(Conn *conn);
/** Takes what has arrived. */
static void take(Conn *conn);

/** Those whose messages may arrive. */
static int known_publishers;
static int publishers = 1, subscribers = 1, payload_bytes = 64, window = 100, rate;
static int measured_s = 5, warm_s = 1, broker_pid;

static Conn *conns; // subscribers first
static int ready, lost;
static bool measuring, stopped;
static uint64_t sent_measured, received_measured, gaps, repeated, input_ns;

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

// --- payloads: when a message was due, who sent it and its number

typedef struct {
  uint64_t due_ns;
  uint32_t publisher, sequence;
} Stamp;

static void fill_payload(Conn *conn, uint8_t *payload, uint64_t due_ns) {
  memset(payload, 'x', payload_bytes);
  Stamp stamp = {due_ns, conn->index, ++conn->sequence};
  if (payload_bytes >= (int)sizeof stamp) memcpy(payload, &stamp, sizeof stamp);
  sent_measured += measuring;
}

static void take_payload(Conn *conn, const uint8_t *payload) {
  conn->received++;
  if (measuring) received_measured++;
  Stamp stamp;
  if (payload_bytes < (int)sizeof stamp) return;
  memcpy(&stamp, payload, sizeof stamp);
  if (measuring && input_ns > stamp.due_ns) note(latency, (input_ns - stamp.due_ns) / 1000);
  if (!conn->seen || stamp.publisher >= (uint32_t)known_publishers) return;
  uint32_t *seen = &conn->seen[stamp.publisher];
  if (stamp.sequence > *seen) {
    gaps += stamp.sequence - *seen - 1;
    *seen = stamp.sequence;
  } else repeated++;
}

// --- connections

static void become_ready(Conn *conn) {
  conn->state = READY;
  ready++;
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
      take(conn);
      if (conn->state != LOST && conn->out_to > conn->out_from) flush_out(conn);
    }
    pump(conn);
  }
  return count;
}

static void wait_ready(int count) {
  uint64_t until = now_ns() + 30000000000ull;
  while (ready < count && !lost && now_ns() < until) turn(100);
  if (ready < count) {
    fprintf(stderr, "only %d of %d connections are ready\n", ready, count);
    exit(1);
  }
}

// --- at a rate

static uint64_t period_ns(void) { return 1000000000ull / rate; }

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

// --- the run

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

/** Warms up, measures, and stops the publishers. */
static void measure(Moment *from, Moment *to) {
  if (rate) plan();
  for (int i = 0; i < publishers; i++) pump(&conns[subscribers + i]);
  run_until(now_ns() + warm_s * 1000000000ull);
  measuring = true;
  *from = moment();
  run_until(from->at_ns + measured_s * 1000000000ull);
  *to = moment();
  measuring = false;
  stopped = true;
}

/** After the last message: until nothing more arrives. Unless `everything` has to, a slow broker is not waited for. */
static void finish(bool everything) {
  uint64_t until = now_ns() + (everything ? 10000000000ull : 1000000000ull), received = 0, quiet_since = now_ns();
  while (now_ns() < until && now_ns() - quiet_since < 500000000ull) {
    turn(20);
    uint64_t sum = 0;
    for (int i = 0; i < subscribers; i++) sum += conns[i].received;
    if (sum != received) quiet_since = now_ns();
    received = sum;
  }
}

/** `more`: further members of the object, each with a comma behind. */
static void report(Moment start, Moment from, Moment to, const char *more) {
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
  printf("%s", more);
  printf("\"sent_per_s\":%.0f,\"received_per_s\":%.0f,\"broker_cpu_s\":%.3f,\"all_broker_cpu_s\":%.3f,\"generator_busy\":%.3f,",
         sent_measured / s, received_measured / s, to.broker_s - from.broker_s, moment().broker_s - start.broker_s, busy);
  printf("\"p50_us\":%lu,\"p90_us\":%lu,\"p99_us\":%lu,\"p999_us\":%lu,\"max_us\":%lu,\"late_p99_us\":%lu}\n", quantile(latency, .5),
         quantile(latency, .9), quantile(latency, .99), quantile(latency, .999), quantile(latency, 1), quantile(lateness, .99));
}
