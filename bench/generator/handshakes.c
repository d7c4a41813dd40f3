// Full TLS handshakes with a client certificate, each followed by CONNECT, CONNACK and the end of the connection, so many at a time
// as told, over and over. Prints one line of JSON.
//
//   handshakes -p PORT -c certificate.pem -k key.pem -d seconds [-W seconds before it counts] [-a connections at a time] [-B PID of the broker]

#include "connection.h"
#include <openssl/ssl.h>

static int at_a_time = 128, warm_seconds, seconds = 5, broker_pid;
static SSL_CTX *context;
static SSL **sessions;
static uint64_t *began_ns;
static uint64_t done, lost, group;
static bool counting;
static char version[32] = "";

enum { SAMPLES = 1 << 20 };
static uint32_t took_us[SAMPLES];

static void on_packet(Conn *conn, uint8_t first, uint8_t *body, uint32_t bytes) {
  (void)bytes;
  if (first >> 4 != CONNACK || body[1]) {
    fprintf(stderr, "refused: packet type %d, code %d\n", first >> 4, body[1]);
    exit(1);
  }
  conn->state = READY;
}

static void on_lost(Conn *conn) { (void)conn; }
static void turn_of(Conn *conn);

static void begin(Conn *conn, int index) {
  static uint64_t serial;
  open_connection(conn, index, false);
  began_ns[index] = now_ns();
  char client_id[32];
  snprintf(client_id, sizeof client_id, "handshake-%llu", (unsigned long long)serial++);
  SSL *session = sessions[index] = SSL_new(context);
  SSL_set_fd(session, conn->fd);
  SSL_set_connect_state(session);
  put_connect(conn, client_id, true);
  turn_of(conn);
}

/** The connection is over: counted, closed with a reset so that no port waits, and begun anew. */
static void again(Conn *conn, bool good) {
  if (good && counting) {
    if (done < SAMPLES) took_us[done] = (now_ns() - began_ns[conn->index]) / 1000;
    done++;
  }
  if (!good) lost++;
  if (good && !version[0]) {
    snprintf(version, sizeof version, "%s", SSL_get_version(sessions[conn->index]));
    group = SSL_get_negotiated_group(sessions[conn->index]);
  }
  SSL_free(sessions[conn->index]);
  struct linger now = {1, 0};
  setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(conn->fd);
  free(conn->out);
  int index = conn->index;
  memset(conn, 0, sizeof *conn);
  begin(conn, index);
}

static void turn_of(Conn *conn) {
  SSL *session = sessions[conn->index];
  if (!SSL_is_init_finished(session)) {
    int outcome = SSL_do_handshake(session);
    if (outcome != 1) {
      int why = SSL_get_error(session, outcome);
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) again(conn, false);
      return;
    }
    SSL_write(session, conn->out + conn->out_from, conn->out_to - conn->out_from);
  }
  uint8_t answer[64];
  int got = SSL_read(session, answer, sizeof answer);
  if (got >= 4) {
    on_packet(conn, answer[0], answer + 2, 2);
    static const uint8_t goodbye[2] = {DISCONNECT << 4, 0};
    SSL_write(session, goodbye, 2);
    again(conn, true);
  } else if (got <= 0 && SSL_get_error(session, got) != SSL_ERROR_WANT_READ) {
    again(conn, false);
  }
}

static double cpu_of(int pid) {
  if (!pid) return 0;
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  size_t got = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[got] = 0;
  unsigned long user = 0, system = 0;
  sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
  return (double)(user + system) / sysconf(_SC_CLK_TCK);
}

static double own_cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

int main(int count, char **arguments) {
  const char *certificate = 0, *key = 0;
  for (int option; (option = getopt(count, arguments, "h:p:c:k:d:W:a:B:")) > 0;) switch (option) {
      case 'h': host = optarg; break;
      case 'p': port = atoi(optarg); break;
      case 'c': certificate = optarg; break;
      case 'k': key = optarg; break;
      case 'd': seconds = atoi(optarg); break;
      case 'W': warm_seconds = atoi(optarg); break;
      case 'a': at_a_time = atoi(optarg); break;
      case 'B': broker_pid = atoi(optarg); break;
      default: return 2;
    }
  start_epoll();
  if (!(context = SSL_CTX_new(TLS_client_method()))) fail("SSL_CTX_new");
  // The broker is measured here, not whether it can be trusted. Nor are resumed sessions: each handshake is a full one.
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) fail("certificate");
  if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) fail("key");
  sessions = calloc(at_a_time, sizeof *sessions);
  began_ns = calloc(at_a_time, sizeof *began_ns);
  Conn *conns = calloc(at_a_time, sizeof *conns);
  for (int i = 0; i < at_a_time; i++) begin(&conns[i], i);

  uint64_t start = now_ns(), from = start + warm_seconds * 1000000000ull, until = from + seconds * 1000000000ull;
  double broker_cpu = 0, own = 0;
  for (uint64_t now = start; now < until; now = now_ns()) {
    if (!counting && now >= from) {
      counting = true;
      from = now;
      lost = 0;
      broker_cpu = cpu_of(broker_pid);
      own = own_cpu();
    }
    static struct epoll_event events[256];
    int got = epoll_wait(epoll_fd, events, 256, 100);
    for (int i = 0; i < got; i++) turn_of(events[i].data.ptr);
  }
  double elapsed = (now_ns() - from) / 1e9;
  broker_cpu = cpu_of(broker_pid) - broker_cpu;
  own = own_cpu() - own;
  uint64_t samples = done < SAMPLES ? done : SAMPLES;
  qsort(took_us, samples, sizeof *took_us, by_size);
  printf("{\"done\":%llu,\"lost\":%llu,\"seconds\":%.3f,\"broker_cpu_s\":%.3f,\"generator_busy\":%.3f,\"p50_us\":%u,\"p99_us\":%u,\"tls13\":%d,\"group\":%llu}\n",
         (unsigned long long)done, (unsigned long long)lost, elapsed, broker_cpu, own / elapsed,
         samples ? took_us[samples / 2] : 0, samples ? took_us[samples * 99 / 100] : 0, !strcmp(version, "TLSv1.3"),
         (unsigned long long)group);
  return 0;
}
