// The other end for amqpload without a broker: takes and settles whatever is sent to it, and sends as much as there is credit for. Shows
// what the generator itself is capable of. Runs until it is killed.
//
//   amqpsink -p PORT [-s message bytes] [-q 1: what it sends is unsettled]

#include "connection.h"
#include "amqp.h"

static uint32_t sequence;
static uint8_t payload[64];

static void on_packet(Conn *conn, uint8_t first, uint8_t *body, uint32_t bytes) { (void)conn, (void)first, (void)body, (void)bytes; }
static void on_lost(Conn *conn) { close(conn->fd); }
static void on_message(Conn *conn, const uint8_t *at, uint32_t bytes) { (void)conn, (void)at, (void)bytes; }
static void on_outcome(Conn *conn, bool accepted) { (void)conn, (void)accepted; }
static void become_ready(Conn *conn) { conn->state = READY; }

static void answer_attach(Conn *conn, const Value *performative) {
  Link *link = conn->link;
  Value fields[5];
  get_fields(performative, fields, 5);
  link->sends = fields[2].number;
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int)fields[0].length, (const char *)fields[0].bytes);
  uint8_t body[512], *list = open_list(body, ATTACH), *at = list;
  at = put_small(put_string(at, 0xa1, name), 0x52, 0);
  at = put_bool(at, !link->sends);
  at = put_small(put_small(at, 0x50, fields[3].number), 0x50, 0);
  at = put_terminus(put_terminus(at, true, "sink", false, 0), false, "sink", false, 0);
  at = put_small(put_null(put_null(at)), 0x52, 0);
  put_frame(conn, 0, body, close_list(list, at, 10) - body);
  if (link->sends) make_template(link);
  else put_flow(conn);
  link->attached = true;
  link->credit = amqp.credit;
  if (!link->sends) put_flow(conn);
}

static void serve(Conn *conn, const uint8_t *body, uint32_t bytes) {
  Value performative;
  if (!bytes) return;
  const uint8_t *rest = get(body, body + bytes, &performative);
  uint8_t answer[128], *list;
  switch (performative.code) {
    case INIT:
      list = open_list(answer, OUTCOME);
      put_frame(conn, 1, answer, close_list(list, put_small(list, 0x50, 0), 1) - answer);
      put_raw(conn, "AMQP\0\1\0\0", 8);
      return;
    case OPEN:
      conn->link->max_frame = OWN_FRAME_BYTES;
      list = open_list(answer, OPEN);
      put_frame(conn, 0, answer, close_list(list, put_string(list, 0xa1, "sink"), 1) - answer);
      return;
    case BEGIN:
      list = open_list(answer, BEGIN);
      uint8_t *at = put_uint(put_uint(put_uint(put_small(list, 0x60, 0), 0), 0x7fffffff), 0x7fffffff);
      // The channel is an unsigned short.
      memmove(list + 3, list + 2, at - list - 2);
      list[2] = 0;
      put_frame(conn, 0, answer, close_list(list, at + 1, 4) - answer);
      return;
    case ATTACH: answer_attach(conn, &performative); return;
    case TRANSFER: on_transfer(conn, &performative, rest, body + bytes); return;
    case FLOW: on_flow(conn, &performative); return;
    case DISPOSITION: on_disposition(conn, &performative); return;
  }
}

static void send_what_may(Conn *conn) {
  Link *link = conn->link;
  while (link->sends && conn->state != LOST && may_send(link) && conn->out_from == conn->out_to) {
    for (int i = 0; i < 256 && may_send(link); i++) {
      struct {
        uint64_t due_ns;
        uint32_t publisher, sequence;
      } stamp = {now_ns(), 0, ++sequence};
      memcpy(payload, &stamp, sizeof stamp);
      memcpy(put_message(conn), payload, sizeof payload);
    }
    flush_out(conn);
  }
}

static void take_and_serve(Conn *conn) {
  Link *link = conn->link;
  if (conn->carry_bytes) memcpy(input, conn->carry, conn->carry_bytes);
  ssize_t got = recv(conn->fd, input + conn->carry_bytes, READ_BYTES, 0);
  if (got <= 0) {
    if (got == 0 || errno != EAGAIN) lose(conn);
    return;
  }
  uint32_t have = conn->carry_bytes + got, at = 0;
  while (have - at >= 8) {
    const uint8_t *frame = input + at;
    if (!memcmp(frame, "AMQP", 4)) {
      uint8_t none[32], *list = open_list(none, MECHANISMS);
      if (frame[4] == 3) put_raw(conn, frame, 8), put_frame(conn, 1, none, close_list(list, put_string(list, 0xa3, "ANONYMOUS"), 1) - none);
      at += 8;
      continue;
    }
    uint32_t bytes = get_u32(frame);
    if (have - at < bytes) break;
    serve(conn, frame + 8, bytes - 8);
    at += bytes;
  }
  conn->carry_bytes = have - at;
  if (!conn->carry) conn->carry = malloc(OWN_FRAME_BYTES);
  memcpy(conn->carry, input + at, have - at);
  end_run(conn);
  if (link->attached && !link->sends && link->credit <= amqp.credit / 2) {
    link->credit = amqp.credit;
    put_flow(conn);
  }
  if (conn->out_to > conn->out_from) flush_out(conn);
}

int main(int count, char **arguments) {
  amqp.message_bytes = sizeof payload;
  amqp.credit = 10000;
  for (int option; (option = getopt(count, arguments, "p:q:")) > 0;)
    if (option == 'p') port = atoi(optarg);
    else amqp.settle[1] = atoi(optarg);
  start_epoll();
  int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (void *)&at, sizeof at) || listen(listener, 1000)) fail("listen");
  struct epoll_event event = {.events = EPOLLIN}, events[256];
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int found = epoll_wait(epoll_fd, events, 256, -1);
    for (int i = 0; i < found; i++) {
      Conn *conn = events[i].data.ptr;
      if (!conn) {
        conn = calloc(1, sizeof *conn);
        conn->link = calloc(1, sizeof *conn->link);
        conn->fd = accept4(listener, 0, 0, SOCK_NONBLOCK);
        setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        event = (struct epoll_event){.events = EPOLLIN, .data.ptr = conn};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &event);
        continue;
      }
      if (events[i].events & EPOLLOUT) flush_out(conn);
      if (events[i].events & ~EPOLLOUT) take_and_serve(conn);
      send_what_may(conn);
    }
  }
}
