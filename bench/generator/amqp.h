// AMQP 1.0 for generators of load: as much of the protocol as one link on one session of one connection needs. Frames that are sent
// for every message are templates with a few bytes to fill in. A program that includes this (after connection.h) defines
// `on_message`, `on_outcome` and `become_ready`.

enum { OPEN = 0x10, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE };
enum { MECHANISMS = 0x40, INIT, CHALLENGE, RESPONSE, OUTCOME };
enum { ACCEPTED = 0x24 };
/** Deliveries that may be unsettled on a link at a time. */
enum { MOST_UNSETTLED = 1 << 16 };
enum { OWN_FRAME_BYTES = 1 << 17 };

typedef struct Link {
  bool sends, shook_sasl, shook_amqp, attached;
  /** Receiver settles second, as the answer to our attach has it. */
  bool second;
  uint32_t max_frame;
  // Sending: ids below these may be used. The id of a delivery counts its frames, which is the same while messages fit into one.
  uint32_t next_id, transfer_id, credit_end, window_end;
  /** One bit for each delivery under way, by its id. */
  uint64_t unsettled[MOST_UNSETTLED / 64];
  // Receiving.
  uint32_t transfers, deliveries, delivery;
  int32_t credit;
  /** Deliveries that there was no credit for. */
  uint64_t uncredited;
  uint32_t run_first, run_last;
  bool run, more;
  uint64_t settled;
  const char *address;
  uint8_t *template;
  uint32_t template_bytes, id_at, tag_at;
} Link;

/** What all links of a run have in common. */
static struct {
  const char *user, *password, *capability[2]; // of a receiver, of a sender
  /** 0: settled by the sender, 1: unsettled, 2: the receiver settles second; for receivers and senders. */
  int settle[2];
  int32_t credit;
  uint32_t message_bytes;
  bool durable_messages, durable_link;
} amqp = {.credit = 1000};

static void on_message(Conn *conn, const uint8_t *payload, uint32_t bytes);
/** An outcome of a delivery that was sent, once for each. */
static void on_outcome(Conn *conn, bool accepted);
static void become_ready(Conn *conn);

// --- writing

static uint8_t *put_u32(uint8_t *at, uint32_t value) {
  uint32_t big = htonl(value);
  memcpy(at, &big, 4);
  return at + 4;
}

static uint8_t *put_uint(uint8_t *at, uint32_t value) {
  *at++ = 0x70;
  return put_u32(at, value);
}

static uint8_t *put_small(uint8_t *at, uint8_t type, uint8_t value) {
  *at++ = type;
  *at++ = value;
  return at;
}

static uint8_t *put_bool(uint8_t *at, bool value) {
  *at++ = value ? 0x41 : 0x42;
  return at;
}

static uint8_t *put_null(uint8_t *at) {
  *at++ = 0x40;
  return at;
}

/** `type` 0xa1: string, 0xa3: symbol, 0xa0: binary. Null makes null. */
static uint8_t *put_string(uint8_t *at, uint8_t type, const char *text) {
  if (!text) return put_null(at);
  at = put_small(at, type, strlen(text));
  memcpy(at, text, strlen(text));
  return at + strlen(text);
}

/** Begins a described list; `close_list` fills in what is known only then. */
static uint8_t *open_list(uint8_t *at, uint8_t code) {
  *at++ = 0;
  at = put_small(at, 0x53, code);
  *at = 0xd0;
  return at + 9;
}

static uint8_t *close_list(uint8_t *list, uint8_t *end, uint32_t fields) {
  put_u32(list - 8, end - list + 4);
  put_u32(list - 4, fields);
  return end;
}

static uint8_t *put_accepted(uint8_t *at) {
  *at++ = 0;
  at = put_small(at, 0x53, ACCEPTED);
  *at++ = 0x45;
  return at;
}

static void put_frame(Conn *conn, uint8_t type, const uint8_t *body, uint32_t bytes) {
  uint8_t *at = put_u32(room_for(conn, bytes + 8), bytes + 8);
  *at++ = 2;
  *at++ = type;
  *at++ = 0;
  *at++ = 0;
  memcpy(at, body, bytes);
  conn->out_to += bytes + 8;
}

static void put_raw(Conn *conn, const void *bytes, uint32_t count) {
  memcpy(room_for(conn, count), bytes, count);
  conn->out_to += count;
}

static void put_init(Conn *conn) {
  uint8_t body[512], *list = open_list(body, INIT), *at = list;
  at = put_string(at, 0xa3, amqp.user ? "PLAIN" : "ANONYMOUS");
  if (amqp.user) {
    uint32_t user = strlen(amqp.user), password = strlen(amqp.password);
    at = put_small(at, 0xa0, user + password + 2);
    *at++ = 0;
    memcpy(at, amqp.user, user);
    at[user] = 0;
    memcpy(at + user + 1, amqp.password, password);
    at += user + password + 1;
  } else at = put_string(at, 0xa0, "bench");
  put_frame(conn, 1, body, close_list(list, at, 2) - body);
}

static void put_open(Conn *conn) {
  uint8_t body[256], *list = open_list(body, OPEN), *at = list;
  char container[32];
  snprintf(container, sizeof container, "bench-%c%d", conn->publishes ? 's' : 'r', conn->index);
  at = put_string(at, 0xa1, container);
  at = put_string(at, 0xa1, host);
  at = put_uint(at, OWN_FRAME_BYTES);
  put_frame(conn, 0, body, close_list(list, at, 3) - body);
  list = open_list(body, BEGIN);
  at = put_uint(put_uint(put_uint(put_null(list), 0), 0x7fffffff), 0x7fffffff);
  put_frame(conn, 0, body, close_list(list, at, 4) - body);
}

/** A source, or a target: they begin alike. */
static uint8_t *put_terminus(uint8_t *at, bool source, const char *address, bool durable, const char *capability) {
  uint8_t *list = open_list(at, source ? 0x28 : 0x29);
  at = put_string(list, 0xa1, address);
  at = put_small(at, 0x52, durable ? 2 : 0);
  at = put_string(at, 0xa3, durable ? "never" : "session-end");
  at = put_small(at, 0x52, 0);
  at = put_bool(at, false);
  for (int i = 0; i < (source ? 5 : 1); i++) at = put_null(at);
  at = put_string(at, 0xa3, capability);
  return close_list(list, at, source ? 11 : 7);
}

static void put_attach(Conn *conn) {
  Link *link = conn->link;
  uint8_t body[1024], *list = open_list(body, ATTACH), *at = list;
  char name[32];
  snprintf(name, sizeof name, "bench-%c%d", link->sends ? 's' : 'r', conn->index);
  at = put_string(at, 0xa1, name);
  at = put_small(at, 0x52, 0);
  at = put_bool(at, !link->sends);
  at = put_small(at, 0x50, amqp.settle[link->sends] == 0);
  at = put_small(at, 0x50, amqp.settle[link->sends] == 2);
  at = put_terminus(at, true, link->sends ? name : link->address, !link->sends && amqp.durable_link, link->sends ? 0 : amqp.capability[0]);
  at = put_terminus(at, false, link->sends ? link->address : name, false, link->sends ? amqp.capability[1] : 0);
  if (link->sends) at = put_small(put_null(put_null(at)), 0x52, 0);
  put_frame(conn, 0, body, close_list(list, at, link->sends ? 10 : 7) - body);
}

static void put_flow(Conn *conn) {
  Link *link = conn->link;
  uint8_t body[64], *list = open_list(body, FLOW), *at = list;
  at = put_uint(put_uint(at, link->transfers), 0x7fffffff);
  at = put_uint(put_uint(at, 0), 0x7fffffff);
  at = put_small(at, 0x52, 0);
  at = put_uint(put_uint(at, link->deliveries), link->credit);
  put_frame(conn, 0, body, close_list(list, at, 7) - body);
}

static void put_disposition(Conn *conn, bool as_receiver, uint32_t first, uint32_t last, bool settled) {
  uint8_t body[64], *list = open_list(body, DISPOSITION), *at = list;
  at = put_bool(at, as_receiver);
  at = put_uint(put_uint(at, first), last);
  at = put_accepted(put_bool(at, settled));
  put_frame(conn, 0, body, close_list(list, at, 5) - body);
}

/** What does not change from one message to the next: the transfer, and the message before its payload. */
static void make_template(Link *link) {
  uint8_t *start = link->template = malloc(128), *list = open_list(start + 8, TRANSFER), *at = list;
  memset(start, 0, 8);
  start[4] = 2;
  *at++ = 0x43;
  link->id_at = at + 1 - start;
  at = put_small(put_uint(at, 0), 0xa0, 4);
  link->tag_at = at - start;
  at = put_u32(at, 0);
  *at++ = 0x43;
  at = put_bool(at, amqp.settle[1] == 0);
  at = put_bool(at, false);
  close_list(list, at, 6);
  if (amqp.durable_messages) {
    list = open_list(at, 0x70);
    at = close_list(list, put_bool(list, true), 1);
  }
  *at++ = 0;
  at = put_small(at, 0x53, 0x75);
  *at++ = 0xb0;
  at = put_u32(at, amqp.message_bytes);
  link->template_bytes = at - start;
}

static bool may_send(const Link *link) {
  return (int32_t)(link->credit_end - link->next_id) > 0 && (int32_t)(link->window_end - link->transfer_id) > 0;
}

/** Appends a message and returns where its payload is to be written. It must fit into a frame: `put_long` is for those that do not. */
static uint8_t *put_message(Conn *conn) {
  Link *link = conn->link;
  uint32_t bytes = link->template_bytes + amqp.message_bytes, id = link->next_id++;
  uint8_t *at = room_for(conn, bytes);
  memcpy(at, link->template, link->template_bytes);
  put_u32(at, bytes);
  put_u32(at + link->id_at, id);
  put_u32(at + link->tag_at, id);
  link->transfer_id++;
  if (amqp.settle[1]) {
    link->unsettled[id / 64 % (MOST_UNSETTLED / 64)] |= 1ull << (id & 63);
    conn->unanswered++;
  }
  conn->out_to += bytes;
  return at + link->template_bytes;
}

/** A message of more than one frame. */
static void put_long(Conn *conn, const uint8_t *payload) {
  Link *link = conn->link;
  uint32_t sent = link->max_frame - link->template_bytes, head = link->template_bytes;
  uint8_t *at = room_for(conn, link->max_frame);
  memcpy(at, link->template, head);
  put_u32(at, link->max_frame);
  put_u32(at + link->id_at, link->next_id);
  put_u32(at + link->tag_at, link->next_id);
  at[link->tag_at + 6] = 0x41; // more
  memcpy(at + head, payload, sent);
  conn->out_to += link->max_frame;
  if (amqp.settle[1]) {
    link->unsettled[link->next_id / 64 % (MOST_UNSETTLED / 64)] |= 1ull << (link->next_id & 63);
    conn->unanswered++;
  }
  link->next_id++;
  for (link->transfer_id++; sent < amqp.message_bytes; link->transfer_id++) {
    uint8_t start[32], *list = open_list(start, TRANSFER), *end = put_null(put_null(put_null(put_null(list + 1) /* id, tag, format, settled */)));
    *list = 0x43;
    uint32_t overhead = end + 1 - start + 8, part = amqp.message_bytes - sent;
    if (part > link->max_frame - overhead) part = link->max_frame - overhead;
    end = close_list(list, put_bool(end, sent + part < amqp.message_bytes), 6);
    uint8_t *frame = put_u32(room_for(conn, overhead + part), overhead + part);
    memcpy(frame, "\2\0\0\0", 4);
    memcpy(frame + 4, start, end - start);
    memcpy(frame + overhead - 4, payload + sent, part);
    conn->out_to += overhead + part;
    sent += part;
  }
}

// --- reading

typedef struct {
  enum { NOTHING, NUMBER, BYTES, LIST } kind;
  /** Descriptor, or 0. */
  uint64_t code;
  uint64_t number;
  const uint8_t *bytes;
  uint32_t length, count;
} Value;

static uint32_t get_u32(const uint8_t *at) {
  uint32_t big;
  memcpy(&big, at, 4);
  return ntohl(big);
}

static void broken(const char *what) {
  fprintf(stderr, "not AMQP: %s\n", what);
  exit(1);
}

/** Reads a value and returns where the next begins. */
static const uint8_t *get(const uint8_t *at, const uint8_t *end, Value *value) {
  *value = (Value){.kind = NOTHING};
  if (at >= end) broken("a value is cut off");
  uint64_t code = 0;
  if (*at == 0) {
    Value descriptor;
    at = get(at + 1, end, &descriptor);
    code = descriptor.number;
  }
  uint8_t type = *at++;
  static const uint8_t widths[16] = {0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 1, 4, 1, 4, 1, 4};
  uint32_t width = widths[type >> 4];
  if (at + width > end) broken("a value is cut off");
  if (type >> 4 < 10) {
    value->kind = type == 0x40 ? NOTHING : NUMBER;
    if (type == 0x41) value->number = 1;
    for (uint32_t i = 0; i < width && width <= 8; i++) value->number = value->number << 8 | at[i];
    at += width;
  } else {
    uint32_t length = width == 1 ? *at : get_u32(at);
    at += width;
    if (length > end - at) broken("a value is cut off");
    value->kind = type >> 4 < 12 ? BYTES : LIST;
    value->bytes = at;
    value->length = length;
    at += length;
    if (value->kind == LIST) {
      value->count = width == 1 ? *value->bytes : get_u32(value->bytes);
      value->bytes += width;
      value->length -= width;
    }
  }
  if (type == 0x45) value->kind = LIST;
  value->code = code;
  return at;
}

/** The fields of a list; those that are not there are NOTHING. */
static void get_fields(const Value *list, Value *fields, uint32_t wanted) {
  const uint8_t *at = list->bytes, *end = at + list->length;
  for (uint32_t i = 0; i < wanted; i++)
    if (i < list->count) at = get(at, end, &fields[i]);
    else fields[i] = (Value){.kind = NOTHING};
}

static void explain(const char *what, const Value *error) {
  Value fields[2];
  fprintf(stderr, "%s", what);
  if (error->kind == LIST) {
    get_fields(error, fields, 2);
    fprintf(stderr, ": %.*s %.*s", (int)fields[0].length, (const char *)fields[0].bytes, (int)fields[1].length, (const char *)fields[1].bytes);
  }
  fprintf(stderr, "\n");
}

static void end_run(Conn *conn) {
  Link *link = conn->link;
  if (!link->run) return;
  put_disposition(conn, true, link->run_first, link->run_last, !link->second);
  if (!link->second) link->settled += link->run_last - link->run_first + 1;
  link->run = false;
}

static void on_transfer(Conn *conn, const Value *performative, const uint8_t *at, const uint8_t *end) {
  Link *link = conn->link;
  Value fields[6], section;
  get_fields(performative, fields, 6);
  bool first = !link->more, settled = fields[4].number;
  link->transfers++;
  link->more = fields[5].number;
  if (first) {
    link->delivery = fields[1].number;
    link->deliveries++;
    if (link->credit-- <= 0) link->uncredited++;
    // A part of a payload is not read: what generators read of it stands in its beginning, and the frames are counted.
    for (bool found = false; !found && at < end;) {
      if (link->more && end - at >= 8 && at[2] == 0x75) {
        found = true;
        on_message(conn, at + (at[3] == 0xa0 ? 5 : 8), at[3] == 0xa0 ? at[4] : get_u32(at + 4));
        continue;
      }
      at = get(at, end, &section);
      found = section.code == 0x75 || section.code == 0x77;
      if (found) on_message(conn, section.bytes, section.length);
    }
  }
  if (link->more || settled) return;
  if (link->run && link->delivery == link->run_last + 1) {
    link->run_last++;
    return;
  }
  end_run(conn);
  link->run = true;
  link->run_first = link->run_last = link->delivery;
}

static void on_disposition(Conn *conn, const Value *performative) {
  Link *link = conn->link;
  Value fields[5];
  get_fields(performative, fields, 5);
  uint32_t first = fields[1].number, last = fields[2].kind == NOTHING ? first : fields[2].number;
  bool settled = fields[3].number;
  if (!link->sends) {
    if (settled) link->settled += last - first + 1;
    return;
  }
  if (!settled && fields[4].kind == NOTHING) return;
  if (last - first >= MOST_UNSETTLED) broken("a disposition of deliveries that were not sent");
  bool any = false;
  for (uint32_t id = first; id != last + 1; id++) {
    uint64_t *word = &link->unsettled[id / 64 % (MOST_UNSETTLED / 64)], bit = 1ull << (id & 63);
    if (!(*word & bit)) continue;
    *word &= ~bit;
    conn->unanswered--;
    any = true;
    on_outcome(conn, fields[4].code == ACCEPTED);
  }
  if (any && !settled) put_disposition(conn, false, first, last, true);
}

static void on_attach(Conn *conn, const Value *performative) {
  Link *link = conn->link;
  Value fields[11];
  get_fields(performative, fields, 11);
  if (fields[link->sends ? 6 : 5].kind == NOTHING) return; // refused: a detach says why
  link->attached = true;
  link->second = amqp.settle[link->sends] == 2 && fields[4].number == 1;
  if (amqp.settle[link->sends] == 2 && !link->second) {
    fprintf(stderr, "refused: the receiver settles first\n");
    lose(conn);
    return;
  }
  if (link->sends) return;
  link->deliveries = fields[9].number;
  link->credit = amqp.credit;
  put_flow(conn);
  become_ready(conn);
}

static void on_flow(Conn *conn, const Value *performative) {
  Link *link = conn->link;
  Value fields[10];
  get_fields(performative, fields, 10);
  if (link->sends) {
    link->window_end = fields[0].number + fields[1].number;
    if (fields[6].kind == NUMBER) link->credit_end = fields[5].number + fields[6].number;
    if (conn->state != READY && link->attached && may_send(link)) become_ready(conn);
  }
  if (fields[9].number) put_flow(conn);
}

static void on_frame(Conn *conn, uint8_t type, const uint8_t *body, uint32_t bytes) {
  Link *link = conn->link;
  if (!bytes) return;
  Value performative, fields[3];
  const uint8_t *rest = get(body, body + bytes, &performative);
  (void)type;
  switch (performative.code) {
    case TRANSFER: on_transfer(conn, &performative, rest, body + bytes); return;
    case DISPOSITION: on_disposition(conn, &performative); return;
    case FLOW: on_flow(conn, &performative); return;
    case MECHANISMS: put_init(conn); return;
    case OUTCOME:
      get_fields(&performative, fields, 1);
      if (fields[0].number) {
        fprintf(stderr, "refused: SASL outcome %d\n", (int)fields[0].number);
        lose(conn);
        return;
      }
      put_raw(conn, "AMQP\0\1\0\0", 8);
      put_open(conn);
      put_attach(conn);
      return;
    case OPEN:
      get_fields(&performative, fields, 3);
      link->max_frame = fields[2].kind == NUMBER && fields[2].number < OWN_FRAME_BYTES ? fields[2].number : OWN_FRAME_BYTES;
      return;
    case BEGIN: {
      Value window[4];
      get_fields(&performative, window, 4);
      link->window_end = window[2].number;
      link->transfers = window[1].number;
      return;
    }
    case ATTACH: on_attach(conn, &performative); return;
    case DETACH:
      get_fields(&performative, fields, 3);
      explain("detached", &fields[2]);
      lose(conn);
      return;
    case END:
    case CLOSE:
      get_fields(&performative, fields, 1);
      explain("closed", &fields[0]);
      lose(conn);
  }
}

/** Takes what has arrived, at most four reads of it, and answers it: what was received is settled run by run, credit given anew. */
static void take_frames(Conn *conn) {
  for (int round = 0; round < 4 && conn->state != LOST; round++) {
    if (conn->carry_bytes) memcpy(input, conn->carry, conn->carry_bytes);
    ssize_t got = recv(conn->fd, input + conn->carry_bytes, READ_BYTES, 0);
    if (got <= 0) {
      if (got == 0 || errno != EAGAIN) lose(conn);
      break;
    }
    Link *link = conn->link;
    uint32_t have = conn->carry_bytes + got, at = 0;
    while (have - at >= 8 && conn->state != LOST) {
      const uint8_t *frame = input + at;
      if (!memcmp(frame, "AMQP", 4)) {
        if (frame[4] != (link->shook_sasl ? 0 : 3)) broken("the other protocol header");
        *(link->shook_sasl ? &link->shook_amqp : &link->shook_sasl) = true;
        at += 8;
        continue;
      }
      uint32_t bytes = get_u32(frame), head = frame[4] * 4;
      if (bytes < 8 || bytes > OWN_FRAME_BYTES) broken("the size of a frame");
      if (have - at < bytes) break;
      on_frame(conn, frame[5], frame + head, bytes - head);
      at += bytes;
    }
    uint32_t rest = have - at;
    if (rest > conn->carry_bytes && !(conn->carry = realloc(conn->carry, rest))) fail("realloc");
    if (rest == 0 && conn->carry_bytes) {
      free(conn->carry);
      conn->carry = 0;
    }
    if (rest) memcpy(conn->carry, input + at, rest);
    conn->carry_bytes = rest;
    if (got < READ_BYTES) break;
  }
  if (conn->state == LOST) return;
  end_run(conn);
  Link *link = conn->link;
  if (!link->sends && link->attached && link->credit <= amqp.credit / 2) {
    link->credit = amqp.credit;
    put_flow(conn);
  }
}

/** Begins the conversation on a connection that is open. */
static void start_link(Conn *conn, bool sends, const char *address) {
  Link *link = conn->link = calloc(1, sizeof *link);
  link->sends = sends;
  link->address = address;
  link->max_frame = 512;
  if (sends) make_template(link);
  put_raw(conn, "AMQP\3\1\0\0", 8);
  flush_out(conn);
}
