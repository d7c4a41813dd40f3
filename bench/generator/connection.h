// What all generators share: MQTT 3.1.1 connections on one epoll, with as little work per packet as can be, so that the broker is
// the limit and not they. A program that includes this defines `on_packet` and `on_lost`.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { CONNECT = 1, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, PINGREQ = 12, DISCONNECT = 14 };
enum { CONNECTING, SUBSCRIBING, READY, LOST };

typedef struct {
  int fd, state, index;
  bool publishes, wants_write;
  uint16_t packet_id;
  /** Publishes without an answer yet. */
  uint32_t unanswered;
  /** Publishes whose time has come but that the window holds back. */
  uint32_t owed;
  uint32_t sequence;
  uint64_t received, answered, next_ns;
  /** The start of a packet whose end has not arrived. */
  uint8_t *carry;
  uint32_t carry_bytes;
  uint8_t *out;
  uint32_t out_from, out_to, out_room;
  /** Last sequence number seen, by publisher. */
  uint32_t *seen;
  /** What another protocol keeps (amqp.h). */
  struct Link *link;
  char topic[96];
} Conn;

static void on_packet(Conn *conn, uint8_t first, uint8_t *body, uint32_t bytes);
static void on_lost(Conn *conn);

#define UNUSED __attribute__((unused))

static int epoll_fd;
static const char *host = "127.0.0.1";
static int port = 1883;

UNUSED static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void start_epoll(void) {
  struct rlimit all;
  getrlimit(RLIMIT_NOFILE, &all);
  all.rlim_cur = all.rlim_max;
  setrlimit(RLIMIT_NOFILE, &all);
  signal(SIGPIPE, SIG_IGN);
  if ((epoll_fd = epoll_create1(0)) < 0) fail("epoll_create1");
}

// --- output

static uint8_t *room_for(Conn *conn, uint32_t bytes) {
  if (conn->out_from == conn->out_to) conn->out_from = conn->out_to = 0;
  if (conn->out_to + bytes > conn->out_room) {
    memmove(conn->out, conn->out + conn->out_from, conn->out_to - conn->out_from);
    conn->out_to -= conn->out_from;
    conn->out_from = 0;
    while (conn->out_to + bytes > conn->out_room) conn->out_room = conn->out_room ? conn->out_room * 2 : 256;
    if (!(conn->out = realloc(conn->out, conn->out_room))) fail("realloc");
  }
  return conn->out + conn->out_to;
}

static void lose(Conn *conn) {
  if (conn->state == LOST) return;
  conn->state = LOST;
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, conn->fd, 0);
  on_lost(conn);
}

UNUSED static void flush_out(Conn *conn) {
  while (conn->out_from < conn->out_to) {
    ssize_t sent = send(conn->fd, conn->out + conn->out_from, conn->out_to - conn->out_from, 0);
    if (sent < 0) {
      if (errno == EAGAIN) break;
      lose(conn);
      return;
    }
    conn->out_from += sent;
  }
  bool wants = conn->out_from < conn->out_to;
  if (wants == conn->wants_write) return;
  conn->wants_write = wants;
  struct epoll_event event = {.events = EPOLLIN | (wants ? EPOLLOUT : 0), .data.ptr = conn};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
}

static uint8_t *put_length(uint8_t *at, uint32_t length) {
  for (; length > 127; length >>= 7) *at++ = (length & 127) | 128;
  *at++ = length;
  return at;
}

static uint8_t *put_text(uint8_t *at, const char *text) {
  size_t bytes = strlen(text);
  *at++ = bytes >> 8;
  *at++ = bytes;
  memcpy(at, text, bytes);
  return at + bytes;
}

static void put_packet(Conn *conn, uint8_t first, const uint8_t *body, uint32_t bytes) {
  uint8_t *at = room_for(conn, bytes + 5);
  *at++ = first;
  at = put_length(at, bytes);
  memcpy(at, body, bytes);
  conn->out_to = at + bytes - conn->out;
}

UNUSED static void put_answer(Conn *conn, uint8_t first, uint16_t packet_id) {
  uint8_t *at = room_for(conn, 4);
  at[0] = first;
  at[1] = 2;
  at[2] = packet_id >> 8;
  at[3] = packet_id;
  conn->out_to += 4;
}

static void put_connect(Conn *conn, const char *client_id, bool clean) {
  uint8_t body[256], *at = put_text(body, "MQTT");
  *at++ = 4;
  *at++ = clean ? 2 : 0;
  *at++ = 0; // no keep-alive: idle connections stay silent
  *at++ = 0;
  at = put_text(at, client_id);
  put_packet(conn, CONNECT << 4, body, at - body);
}

UNUSED static void send_connect(Conn *conn, const char *client_id, bool clean) {
  put_connect(conn, client_id, clean);
  flush_out(conn);
}

UNUSED static void send_subscribe(Conn *conn, int qos) {
  uint8_t body[256] = {0, 1}, *at = put_text(body + 2, conn->topic);
  *at++ = qos;
  put_packet(conn, SUBSCRIBE << 4 | 2, body, at - body);
  flush_out(conn);
}

/** Appends a PUBLISH and returns where its payload is to be written. */
UNUSED static uint8_t *put_publish(Conn *conn, const char *topic, int qos, uint32_t payload_bytes) {
  uint32_t topic_bytes = strlen(topic), body = 2 + topic_bytes + (qos ? 2 : 0) + payload_bytes;
  uint8_t *at = room_for(conn, body + 5);
  *at++ = PUBLISH << 4 | qos << 1;
  at = put_length(at, body);
  at = put_text(at, topic);
  if (qos) {
    if (++conn->packet_id == 0) conn->packet_id = 1;
    *at++ = conn->packet_id >> 8;
    *at++ = conn->packet_id;
    conn->unanswered++;
  }
  conn->out_to = at + payload_bytes - conn->out;
  return at;
}

// --- input

static uint8_t input[1 << 19];
enum { READ_BYTES = 1 << 18 };

/** Takes what has arrived, at most four reads of it. */
UNUSED static void take_input(Conn *conn) {
  for (int round = 0; round < 4 && conn->state != LOST; round++) {
    if (conn->carry_bytes) memcpy(input, conn->carry, conn->carry_bytes);
    ssize_t got = recv(conn->fd, input + conn->carry_bytes, READ_BYTES, 0);
    if (got <= 0) {
      if (got == 0 || errno != EAGAIN) lose(conn);
      return;
    }
    uint32_t have = conn->carry_bytes + got, at = 0;
    while (have - at >= 2 && conn->state != LOST) {
      uint32_t body = at + 1, length = 0, shift = 0;
      bool whole = false;
      while (body < have && !whole) {
        length |= (uint32_t)(input[body] & 127) << shift;
        shift += 7;
        whole = !(input[body++] & 128);
      }
      if (!whole || have - body < length) break;
      on_packet(conn, input[at], input + body, length);
      at = body + length;
    }
    uint32_t rest = have - at;
    if (rest > conn->carry_bytes && !(conn->carry = realloc(conn->carry, rest))) fail("realloc");
    if (rest == 0 && conn->carry_bytes) {
      free(conn->carry);
      conn->carry = 0;
    }
    if (rest) memcpy(conn->carry, input + at, rest);
    conn->carry_bytes = rest;
    if (got < READ_BYTES) return;
  }
}

// --- connections

/** From 127.0.0.1, or, by `spread`, from as many loopback addresses as 20,000 connections each need. */
static void open_connection(Conn *conn, int index, bool spread) {
  conn->index = index;
  conn->state = CONNECTING;
  if ((conn->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0) fail("socket");
  int one = 1;
  if (spread) {
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002 + index / 20000)};
    setsockopt(conn->fd, SOL_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof one);
    if (bind(conn->fd, (void *)&from, sizeof from)) fail("bind");
  }
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &to.sin_addr);
  if (connect(conn->fd, (void *)&to, sizeof to)) fail("connect");
  setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(conn->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &event)) fail("epoll_ctl");
}
