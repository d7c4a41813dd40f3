// Opens connections that say CONNECT and nothing more, and holds them until standard input ends. Prints one line of JSON when all
// are there. With -DWITH_TLS (and -lssl -lcrypto) over TLS.
//
//   idle -p PORT -n connections [-a connections being opened at a time]

#include "connection.h"

#ifdef WITH_TLS
#include <openssl/ssl.h>
#endif

static int wanted = 1000, at_a_time = 64;
static int opened, ready, lost;

#ifdef WITH_TLS
static SSL_CTX *context;
static SSL **sessions;

static void start_tls(void) {
  if (!(context = SSL_CTX_new(TLS_client_method()))) fail("SSL_CTX_new");
  // The broker is measured here, not whether it can be trusted.
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, 0);
  sessions = calloc(wanted, sizeof *sessions);
}

/** Moves on what waits for TLS: the handshake, CONNECT, CONNACK. */
static void tls_turn(Conn *conn) {
  SSL *session = sessions[conn->index];
  if (!SSL_is_init_finished(session)) {
    int done = SSL_do_handshake(session);
    if (done != 1) {
      int why = SSL_get_error(session, done);
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) lose(conn);
      return;
    }
    SSL_write(session, conn->out + conn->out_from, conn->out_to - conn->out_from);
    free(conn->out);
    conn->out = 0;
    conn->out_from = conn->out_to = conn->out_room = 0;
  }
  uint8_t answer[64];
  int got = SSL_read(session, answer, sizeof answer);
  if (got >= 4 && conn->state != READY) on_packet(conn, answer[0], answer + 2, 2);
  else if (got <= 0 && SSL_get_error(session, got) != SSL_ERROR_WANT_READ) lose(conn);
}
#endif

static void on_packet(Conn *conn, uint8_t first, uint8_t *body, uint32_t bytes) {
  (void)bytes;
  if (first >> 4 != CONNACK) return;
  if (body[1]) fprintf(stderr, "refused: CONNACK %d\n", body[1]);
  conn->state = READY;
  ready++;
}

static void on_lost(Conn *conn) {
  (void)conn;
  lost++;
}

static void turn(int wait_ms) {
  static struct epoll_event events[256];
  int count = epoll_wait(epoll_fd, events, 256, wait_ms);
  for (int i = 0; i < count; i++) {
    Conn *conn = events[i].data.ptr;
    if (conn->state == LOST) continue;
#ifdef WITH_TLS
    tls_turn(conn);
#else
    take_input(conn);
#endif
  }
}

static void open_next(Conn *conn) {
  open_connection(conn, opened++, true);
  char client_id[32];
  snprintf(client_id, sizeof client_id, "idle-%d", conn->index);
#ifdef WITH_TLS
  SSL *session = sessions[conn->index] = SSL_new(context);
  SSL_set_fd(session, conn->fd);
  SSL_set_connect_state(session);
  put_connect(conn, client_id, true);
  tls_turn(conn);
#else
  put_connect(conn, client_id, true);
  flush_out(conn);
#endif
}

int main(int count, char **arguments) {
  for (int option; (option = getopt(count, arguments, "h:p:n:a:")) > 0;) switch (option) {
      case 'h': host = optarg; break;
      case 'p': port = atoi(optarg); break;
      case 'n': wanted = atoi(optarg); break;
      case 'a': at_a_time = atoi(optarg); break;
      default: return 2;
    }
  start_epoll();
#ifdef WITH_TLS
  start_tls();
#endif
  Conn *conns = calloc(wanted, sizeof *conns);
  uint64_t start = now_ns();
  while (ready + lost < wanted && now_ns() - start < 300000000000ull) {
    while (opened < wanted && opened - ready - lost < at_a_time) open_next(&conns[opened]);
    turn(100);
  }
  double seconds = (now_ns() - start) / 1e9;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double own = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  printf("{\"ready\":%d,\"lost\":%d,\"seconds\":%.3f,\"generator_busy\":%.3f}\n", ready, lost, seconds, own / seconds);
  fflush(stdout);
  char rest[16];
  while (read(0, rest, sizeof rest) > 0);
  return 0;
}
