// Load of CoAP over UDP or DTLS: devices that POST, each from a port of its own and with so many requests under way as told, and
// observers that count notifications. One thread. Prints one line of JSON.
//
//   coapload -p PORT -P path -n devices -w window [-C confirmable] [-m method: 2 POST, 3 PUT] [-s payload bytes] [-o observers]
//            [-d seconds] [-W seconds before it counts] [-B PID of the server]
//            [-k PSK in hex -u identity | -c certificate.pem -K key.pem] [-S suites of OpenSSL]
//            [-H: handshakes instead, so many at a time as there are devices, each followed by the end of the session]
//            [-N: observers ask by non-confirmable GETs] [-I: devices only come in, and stay idle until standard input ends]

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MTU = 2048, BATCH = 64, CON = 0, NON = 1, ACK = 2, RST = 3 };

/** Nothing came for so long: a request that cannot be repeated is given up, one that can is sent again (RFC 7252 §4.2: 2 s and more). */
static const uint64_t patience_ns = 2000000000ull;

typedef struct {
  uint64_t sent_ns;
  uint32_t number; // in the token, with the slot
  uint16_t mid;
  bool busy;
} Slot;

typedef struct {
  int fd;
  bool observer, ready, gone;
  uint16_t mid;
  uint32_t number;
  Slot *slots;
  int under_way;
  SSL *ssl;
  uint64_t began_ns;
  int batched; // what is to be sent in one go
} Dev;

static int method = 2, port, devices = 64, window = 1, payload_bytes = 64, observers, seconds = 5, warm_s = 1, server_pid;
static bool confirmable, handshakes, counting, stopped, non_observers, idle;
static const char *path = "t/bench/x", *psk_hex, *identity = "device", *certificate, *key_file, *suites;
static SSL_CTX *context;
static Dev *devs;
static int epoll_fd, all, opened, ready_count;
static uint64_t sent, answered, notified, refused, lost, repeated, done, failed, answered_all, sent_all, notified_all;
static uint8_t options[512];
static int options_bytes;
static struct sockaddr_in server;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void die(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

// --- latency: 64 steps per power of two

enum { STEPS = 64, BUCKETS = STEPS * 40 };
static uint64_t latency[BUCKETS];

static void note(uint64_t us) {
  int bucket = us;
  if (us >= STEPS) {
    int power = 63 - __builtin_clzll(us);
    bucket = STEPS + (power - 6) * STEPS + ((us >> (power - 6)) & (STEPS - 1));
  }
  latency[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static uint64_t quantile(double part) {
  uint64_t total = 0, below = 0;
  for (int i = 0; i < BUCKETS; i++) total += latency[i];
  for (int i = 0; i < BUCKETS && total; i++) {
    if ((below += latency[i]) < part * total) continue;
    if (i < STEPS) return i;
    int power = (i - STEPS) / STEPS + 6;
    return (1ull << power) | ((uint64_t)((i - STEPS) % STEPS) << (power - 6));
  }
  return 0;
}

// --- to the server and from it

static uint8_t out[BATCH][MTU], in[BATCH][MTU];
static struct iovec out_parts[BATCH], in_parts[BATCH];
static struct mmsghdr out_messages[BATCH], in_messages[BATCH];

static void flush_out(Dev *dev) {
  int from = 0;
  while (from < dev->batched) {
    int count = sendmmsg(dev->fd, out_messages + from, dev->batched - from, 0);
    // The buffer is full: as on a network, it is lost, and found missing later.
    if (count <= 0) break;
    from += count;
  }
  dev->batched = 0;
}

static void put(Dev *dev, const uint8_t *bytes, int length) {
  if (dev->ssl) {
    SSL_write(dev->ssl, bytes, length);
    return;
  }
  memcpy(out[dev->batched], bytes, length);
  out_parts[dev->batched].iov_len = length;
  if (++dev->batched == BATCH) flush_out(dev);
}

/** Code 0.02 (POST) or, to observe, 0.01 (GET). `slot` < 0: it observes. */
static int write_request(Dev *dev, uint8_t *to, int slot, uint64_t now) {
  uint8_t *at = to;
  bool post = slot >= 0;
  *at++ = 0x40 | ((post ? confirmable : !non_observers) ? CON : NON) << 4 | 8;
  *at++ = post ? method : 1;
  uint16_t mid = post ? dev->slots[slot].mid : dev->mid;
  *at++ = mid >> 8;
  *at++ = mid;
  uint32_t token[2] = {post ? (uint32_t)slot : 0xffffffff, post ? dev->slots[slot].number : 0};
  memcpy(at, token, 8);
  at += 8;
  if (!post) {
    // Observe: 0 is option 6 without a value; the first Uri-Path is five further on.
    *at++ = 0x60;
    memcpy(at, options, options_bytes);
    *at = (*at & 0x0f) | 0x50;
    at += options_bytes;
    return at - to;
  }
  memcpy(at, options, options_bytes);
  at += options_bytes;
  *at++ = 0xff;
  memset(at, 'x', payload_bytes);
  if (payload_bytes >= 8) memcpy(at, &now, 8);
  return at + payload_bytes - to;
}

static void request(Dev *dev, int slot, uint64_t now) {
  uint8_t bytes[MTU];
  put(dev, bytes, write_request(dev, bytes, slot, now));
}

static void pump(Dev *dev, uint64_t now) {
  if (dev->observer || !dev->ready || stopped || idle) return;
  for (int i = 0; i < window && dev->under_way < window; i++) {
    Slot *slot = &dev->slots[i];
    if (slot->busy) continue;
    *slot = (Slot){now, ++dev->number, ++dev->mid, true};
    dev->under_way++;
    sent_all++;
    if (counting) sent++;
    request(dev, i, now);
  }
}

/** RFC 7252 §4.2: it has come. */
static void acknowledge(Dev *dev, const uint8_t *message) {
  uint8_t empty[4] = {0x40 | ACK << 4, 0, message[2], message[3]};
  put(dev, empty, 4);
}

/** The payload after the options; 0: none. */
static const uint8_t *payload_of(const uint8_t *at, const uint8_t *end) {
  while (at < end && *at != 0xff) {
    int delta = *at >> 4, length = *at & 15;
    at++;
    at += delta == 13 ? 1 : delta == 14 ? 2 : 0;
    if (at >= end) return 0;
    if (length == 13) length = 13 + *at++;
    else if (length == 14) length = 269 + at[0] * 256 + at[1], at += 2;
    at += length;
  }
  return at + 1 < end ? at + 1 : 0;
}

static void take(Dev *dev, const uint8_t *message, int bytes, uint64_t now) {
  if (bytes < 4 || message[0] >> 6 != 1) return;
  int type = message[0] >> 4 & 3, code = message[1];
  if (type == CON) acknowledge(dev, message);
  // An empty ACK: the answer comes by itself.
  if (code == 0 || bytes < 12 || (message[0] & 15) != 8) return;
  uint32_t token[2];
  memcpy(token, message + 4, 8);
  if (token[0] == 0xffffffff) {
    if (!dev->ready) {
      // 4.04: nothing is there yet; the server says by the option whether it observes. Ours always does.
      if (code >= 0x80 && code != 0x84) die("an observation was refused");
      dev->ready = true;
      ready_count++;
      return;
    }
    notified_all++;
    if (!counting) return;
    notified++;
    const uint8_t *payload = payload_of(message + 12, message + bytes);
    if (payload && payload + 8 <= message + bytes) {
      uint64_t since;
      memcpy(&since, payload, 8);
      if (now > since && now - since < 60000000000ull) note((now - since) / 1000);
    }
    return;
  }
  if (token[0] >= (uint32_t)window || dev->observer) return;
  Slot *slot = &dev->slots[token[0]];
  if (!slot->busy || slot->number != token[1]) return;
  slot->busy = false;
  dev->under_way--;
  answered_all++;
  if (code >= 0x80) refused++;
  if (!counting) return;
  answered++;
  if (!observers) note((now - slot->sent_ns) / 1000);
}

/** What has been under way for too long. */
static void look_after(Dev *dev, uint64_t now) {
  if (dev->observer) {
    if (!dev->ready && !dev->gone && (!dev->ssl || SSL_is_init_finished(dev->ssl))) request(dev, -1, now);
    return;
  }
  for (int i = 0; i < window; i++) {
    Slot *slot = &dev->slots[i];
    if (!slot->busy || now - slot->sent_ns < patience_ns) continue;
    slot->sent_ns = now;
    if (confirmable) {
      repeated++;
      request(dev, i, now);
    } else {
      lost++;
      slot->busy = false;
      dev->under_way--;
    }
  }
}

// --- DTLS

static unsigned psk_client(SSL *ssl, const char *hint, char *name, unsigned name_bytes, unsigned char *key, unsigned key_bytes) {
  (void)ssl, (void)hint;
  snprintf(name, name_bytes, "%s", identity);
  unsigned bytes = strlen(psk_hex) / 2;
  for (unsigned i = 0; i < bytes && i < key_bytes; i++) sscanf(psk_hex + 2 * i, "%2hhx", &key[i]);
  return bytes;
}

static void prepare_dtls(void) {
  context = SSL_CTX_new(DTLS_client_method());
  SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // The server is measured, not judged.
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, 0);
  SSL_CTX_set_cipher_list(context, suites ? suites : psk_hex ? "PSK-AES128-CCM8:@SECLEVEL=0" : "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0");
  if (psk_hex) SSL_CTX_set_psk_client_callback(context, psk_client);
  else if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 || SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
    die("the certificate or its key cannot be read");
}

static void begin_dtls(Dev *dev) {
  dev->ssl = SSL_new(context);
  BIO *bio = BIO_new_dgram(dev->fd, BIO_NOCLOSE);
  BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &server);
  SSL_set_bio(dev->ssl, bio, bio);
  SSL_set_connect_state(dev->ssl);
  SSL_set_mtu(dev->ssl, 1280);
  dev->began_ns = now_ns();
}

static void open_socket(Dev *dev) {
  dev->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  int size = 1 << 20;
  setsockopt(dev->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (dev->fd < 0 || connect(dev->fd, (struct sockaddr *)&server, sizeof server)) die("no socket");
  struct epoll_event event = {EPOLLIN, {.ptr = dev}};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, dev->fd, &event);
  if (context) begin_dtls(dev);
}

/** The session is through: counted, and begun anew from another port. */
static void again(Dev *dev, bool good) {
  if (good && counting) {
    done++;
    note((now_ns() - dev->began_ns) / 1000);
  }
  if (good) SSL_shutdown(dev->ssl);
  else failed++;
  SSL_free(dev->ssl);
  close(dev->fd);
  if (stopped) {
    dev->gone = true;
    return;
  }
  open_socket(dev);
  SSL_do_handshake(dev->ssl);
}

static void shake_hands(Dev *dev) {
  int outcome = SSL_do_handshake(dev->ssl);
  if (outcome == 1) {
    if (handshakes) again(dev, true);
    else if (dev->observer) request(dev, -1, now_ns());
    else {
      dev->ready = true;
      ready_count++;
    }
    return;
  }
  int why = SSL_get_error(dev->ssl, outcome);
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return;
  if (!handshakes) {
    ERR_print_errors_fp(stderr);
    die("a handshake failed");
  }
  again(dev, false);
}

// --- the run

static void serve(Dev *dev) {
  uint64_t now = now_ns();
  if (dev->ssl) {
    if (!SSL_is_init_finished(dev->ssl)) {
      shake_hands(dev);
      if (dev->gone || handshakes || !SSL_is_init_finished(dev->ssl)) return;
    }
    int bytes;
    while ((bytes = SSL_read(dev->ssl, in[0], MTU)) > 0) take(dev, in[0], bytes, now);
    pump(dev, now);
    return;
  }
  for (;;) {
    int count = recvmmsg(dev->fd, in_messages, BATCH, MSG_DONTWAIT, 0);
    for (int i = 0; i < count; i++) take(dev, in[i], in_messages[i].msg_len, now);
    if (count < BATCH) break;
  }
  pump(dev, now);
  flush_out(dev);
}

static uint64_t last_look;

static void turn(int wait_ms) {
  static struct epoll_event events[512];
  int count = epoll_wait(epoll_fd, events, 512, wait_ms);
  for (int i = 0; i < count; i++) serve(events[i].data.ptr);
  uint64_t now = now_ns();
  if (now - last_look < 100000000) return;
  last_look = now;
  for (int i = 0; i < opened; i++) {
    Dev *dev = &devs[i];
    if (dev->gone) continue;
    if (dev->ssl && !SSL_is_init_finished(dev->ssl)) {
      // OpenSSL may hold a record already: it is asked as well as told of the time.
      DTLSv1_handle_timeout(dev->ssl);
      shake_hands(dev);
      continue;
    }
    look_after(dev, now);
    pump(dev, now);
    flush_out(dev);
  }
}

typedef struct {
  uint64_t at_ns;
  double own_s, server_s;
} Moment;

static Moment moment(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  Moment m = {now_ns(), 0, 0};
  m.own_s = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  char file_name[64], line[1024] = "";
  snprintf(file_name, sizeof file_name, "/proc/%d/stat", server_pid);
  FILE *file = server_pid ? fopen(file_name, "r") : 0;
  if (file) {
    unsigned long user = 0, system = 0;
    if (fgets(line, sizeof line, file)) sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    m.server_s = (double)(user + system) / sysconf(_SC_CLK_TCK);
    fclose(file);
  }
  return m;
}

static void read_arguments(int argc, char **argv) {
  for (int option; (option = getopt(argc, argv, "p:P:n:w:Cs:o:d:W:B:k:u:c:K:S:Hm:NI")) != -1;) {
    switch (option) {
      case 'p': port = atoi(optarg); break;
      case 'P': path = optarg; break;
      case 'n': devices = atoi(optarg); break;
      case 'w': window = atoi(optarg); break;
      case 'C': confirmable = true; break;
      case 's': payload_bytes = atoi(optarg); break;
      case 'o': observers = atoi(optarg); break;
      case 'd': seconds = atoi(optarg); break;
      case 'W': warm_s = atoi(optarg); break;
      case 'B': server_pid = atoi(optarg); break;
      case 'k': psk_hex = optarg; break;
      case 'u': identity = optarg; break;
      case 'c': certificate = optarg; break;
      case 'K': key_file = optarg; break;
      case 'S': suites = optarg; break;
      case 'H': handshakes = true; break;
      case 'N': non_observers = true; break;
      case 'I': idle = true; break;
      case 'm': method = atoi(optarg); break;
      default: exit(2);
    }
  }
  if (!port || window < 1 || payload_bytes > 1024) die("-p PORT is needed, at least one request and at most 1024 bytes");
}

/** Uri-Path options: the first has number 11, the others the same again. */
static void write_path(void) {
  char copy[256];
  snprintf(copy, sizeof copy, "%s", path);
  int delta = 11;
  for (char *part = strtok(copy, "/"); part; part = strtok(0, "/")) {
    int length = strlen(part);
    if (length > 12) die("parts of the path have at most 12 characters");
    options[options_bytes++] = delta << 4 | length;
    memcpy(options + options_bytes, part, length);
    options_bytes += length;
    delta = 0;
  }
}

/** Everybody is in: says so, and holds on. */
static void stay(uint64_t since_ns, double since_s) {
  Moment now = moment();
  double s = (now.at_ns - since_ns) / 1e9;
  printf("{\"ready\":%d,\"seconds\":%.3f,\"generator_busy\":%.3f}\n", ready_count, s, (now.own_s - since_s) / s);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  exit(0);
}

int main(int argc, char **argv) {
  read_arguments(argc, argv);
  write_path();
  server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  epoll_fd = epoll_create1(0);
  for (int i = 0; i < BATCH; i++) {
    out_parts[i].iov_base = out[i];
    in_parts[i] = (struct iovec){in[i], MTU};
    out_messages[i].msg_hdr = (struct msghdr){.msg_iov = &out_parts[i], .msg_iovlen = 1};
    in_messages[i].msg_hdr = (struct msghdr){.msg_iov = &in_parts[i], .msg_iovlen = 1};
  }
  if (psk_hex || certificate) prepare_dtls();
  all = observers + devices;
  devs = calloc(all, sizeof *devs);
  Moment start = moment();
  uint64_t limit = start.at_ns + 60000000000ull;
  for (int i = 0; i < all; i++) {
    Dev *dev = &devs[i];
    dev->observer = i < observers;
    dev->slots = calloc(window, sizeof *dev->slots);
    dev->mid = rand();
    open_socket(dev);
    opened++;
    if (context) shake_hands(dev);
    else if (dev->observer) request(dev, -1, now_ns()), flush_out(dev);
    else dev->ready = true, ready_count++;
    // Not all at once: what does not fit into a buffer is asked for again only later.
    if (i % 32 == 31) turn(0);
    while (!handshakes && i - ready_count > 256 && now_ns() < limit) turn(10);
  }
  while (!handshakes && ready_count < all && now_ns() < limit) turn(50);
  if (!handshakes && ready_count < all) die("not everybody came in");
  if (idle) stay(start.at_ns, start.own_s);
  uint64_t until = now_ns() + warm_s * 1000000000ull;
  last_look = 0;
  while (now_ns() < until) turn(1);
  Moment from = moment();
  counting = true;
  while (now_ns() < from.at_ns + seconds * 1000000000ull) turn(1);
  counting = false;
  Moment to = moment();
  stopped = true;
  // What is still on its way belongs to the totals.
  until = now_ns() + 500000000;
  while (now_ns() < until && !handshakes) turn(20);
  double s = (to.at_ns - from.at_ns) / 1e9;
  printf("{\"seconds\":%.3f,\"sent\":%lu,\"answered\":%lu,\"notified\":%lu,\"refused\":%lu,\"lost\":%lu,\"repeated\":%lu,\"done\":%lu,\"failed\":%lu,", s,
         sent_all, answered_all, notified_all, refused, lost, repeated, done, failed);
  printf("\"sent_per_s\":%.0f,\"answered_per_s\":%.0f,\"notified_per_s\":%.0f,\"done_per_s\":%.0f,\"broker_cpu_s\":%.3f,\"generator_busy\":%.3f,",
         sent / s, answered / s, notified / s, done / s, to.server_s - from.server_s, (to.own_s - from.own_s) / s);
  printf("\"p50_us\":%lu,\"p90_us\":%lu,\"p99_us\":%lu,\"p999_us\":%lu,\"max_us\":%lu}\n", quantile(.5), quantile(.9), quantile(.99), quantile(.999),
         quantile(1));
}
