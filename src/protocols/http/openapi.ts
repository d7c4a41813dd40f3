// The API described for programs (OpenAPI 3.1), as it is served and kept in docs/.

type Json = Readonly<Record<string, unknown>>;

const problem: Json = {
  description: 'Not done: see `type` and `detail`.',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

const failures: Json = Object.fromEntries(['400', '401', '403', '413', '429', '503'].map((status) => [status, problem]));

function parameter(name: string, where: 'path' | 'query' | 'header', description: string, type: Json = { type: 'string' }): Json {
  return { name, in: where, description, ...(where === 'path' && { required: true }), schema: type };
}

const topicPath = parameter('topic', 'path', 'A topic or, for a stream, a filter; `+` and `#` percent-encoded. May hold slashes.');
const queuePath = parameter('queue', 'path', 'The name of a queue; a slash in it is written %2F.');
const text: Json = { type: 'string' };

const messageHeaders: readonly Json[] = [
  parameter('Qos', 'header', '0 at most once, 1 at least once (default), 2 exactly once.', { type: 'integer', enum: [0, 1, 2] }),
  parameter('Idempotency-Key', 'header', 'Makes the message exactly once: the same key again is answered, and not published again.'),
  parameter('Expires', 'header', 'A date of HTTP, or seconds from now.'),
  parameter('Deliver-At', 'header', 'Not before: a date of HTTP, or seconds from now.'),
  parameter('Priority', 'header', '0 to 9, 4 when absent.', { type: 'integer', minimum: 0, maximum: 9 }),
  parameter('Correlation-Id', 'header', 'Percent-encoded text, or `:base64:`.'),
  parameter('Message-Id', 'header', 'Percent-encoded text, or `:base64:`.'),
  parameter('Reply-To', 'header', 'A topic, or `$queue/` and the name of a queue; percent-encoded.'),
  parameter('Subject', 'header', 'Percent-encoded text.'),
  parameter('Group-Id', 'header', 'Messages of a group go to one consumer, in order.'),
  parameter('Group-Sequence', 'header', 'Its number within the group.', { type: 'integer' }),
  parameter('Payload-Format', 'header', 'utf8: the payload is text, and checked to be.', { enum: ['utf8', 'bytes'] }),
  parameter('Property-{name}', 'header', 'A user property; capitals in its name are percent-encoded. May be there several times.'),
];

const payload: Json = { content: { '*/*': { schema: { type: 'string', format: 'binary' } } } };
const accepted: Json = { description: 'As durable as the store promises, or handed to everyone who listens.' };

const settleBody: Json = {
  content: {
    'application/json': {
      schema: {
        type: 'object',
        properties: {
          deliveries: { type: 'array', items: text },
          failed: { type: 'boolean', description: 'nack: the attempt counts.' },
          reason: { type: 'string', description: 'reject: goes with the message to the dead-letter queue.' },
          lease: { type: 'string', description: 'renew: a span such as 30s.' },
        },
      },
    },
  },
};

function settling(summary: string): Json {
  const parameters = [queuePath, parameter('delivery', 'query', 'Of one delivery; may be there several times.')];
  return {
    post: { summary, parameters, requestBody: settleBody, responses: { 204: { description: 'Done.' }, 404: problem, ...failures } },
  };
}

const streamParameters: readonly Json[] = [
  parameter('filter', 'query', 'One more filter; may be there several times.'),
  parameter('subscription', 'query', 'Names the subscription: it waits for its peer, who comes back with Last-Event-ID.'),
  parameter('expires', 'query', 'How long it waits, such as 12h.'),
  parameter('qos', 'query', 'The most that is delivered by: 1 (default) or 0.', { enum: ['0', '1'] }),
  parameter('format', 'query', 'json (default): events hold the message as JSON; payload: its payload alone.', {
    enum: ['json', 'payload'],
  }),
  parameter('selector', 'query', 'Only messages for which this is true.'),
  parameter('Last-Event-ID', 'header', 'The id of the last event that was received.'),
];

const streamAnswer: Json = {
  description: 'The last value; or, with `Accept: text/event-stream` or `application/x-ndjson`, a stream of messages.',
  content: { '*/*': { schema: { type: 'string', format: 'binary' } }, 'text/event-stream': { schema: text } },
};

const topicResource: Json = {
  get: {
    summary: 'Read the last value of a topic, or subscribe to a filter',
    parameters: [topicPath, ...streamParameters, parameter('If-None-Match', 'header', 'An entity tag.')],
    responses: { 200: streamAnswer, 304: { description: 'It is the value that you have.' }, 404: problem, ...failures },
  },
  post: {
    summary: 'Publish a message',
    parameters: [topicPath, parameter('reply', 'query', 'Wait so long for a reply, such as 30s, and answer with it.'), ...messageHeaders],
    requestBody: payload,
    responses: { 202: accepted, 200: { description: 'The reply.' }, 504: problem, 422: problem, ...failures },
  },
  put: {
    summary: 'Set the last value',
    parameters: [
      topicPath,
      parameter('If-Match', 'header', 'An entity tag.'),
      parameter('If-None-Match', 'header', '`*`: only where there is none.'),
      ...messageHeaders,
    ],
    requestBody: payload,
    responses: { 201: accepted, 202: accepted, 412: problem, ...failures },
  },
  delete: { summary: 'Clear the last value', parameters: [topicPath], responses: { 204: accepted, 412: problem, ...failures } },
};

const queueResources: Json = {
  '/v1/queues/{queue}': {
    post: {
      summary: 'Send a message to a queue',
      parameters: [queuePath, ...messageHeaders],
      requestBody: payload,
      responses: { 202: accepted, ...failures },
    },
  },
  '/v1/queues/{queue}/receive': {
    post: {
      summary: 'Take messages of a queue, for as long as their lease',
      parameters: [
        queuePath,
        parameter('wait', 'query', 'How long to wait for the first, such as 20s.'),
        parameter('max', 'query', 'How many at most.', { type: 'integer' }),
        parameter('lease', 'query', 'How long they are yours, such as 30s.'),
      ],
      responses: {
        200: {
          description:
            'Messages, each with a delivery id. By Accept also application/x-ndjson, application/cbor-seq, or one as it is (application/octet-stream).',
          content: {
            'application/json': {
              schema: { type: 'object', properties: { messages: { type: 'array', items: { $ref: '#/components/schemas/Message' } } } },
            },
          },
        },
        204: { description: 'None came in time.' },
        ...failures,
      },
    },
  },
  '/v1/queues/{queue}/ack': settling('They are done'),
  '/v1/queues/{queue}/nack': settling('Give them back'),
  '/v1/queues/{queue}/reject': settling('Refuse them: to the dead-letter queue'),
  '/v1/queues/{queue}/renew': settling('Keep them longer'),
};

const message: Json = {
  type: 'object',
  properties: {
    topic: text,
    queue: { type: 'string', description: 'Instead of a topic, in a batch.' },
    payload: { type: 'string', description: 'Text; byte string in CBOR.' },
    payloadBase64: { type: 'string', description: 'Where it is not UTF-8.' },
    qos: { type: 'integer', enum: [0, 1, 2] },
    idempotencyKey: text,
    retain: { type: 'boolean' },
    priority: { type: 'integer', minimum: 0, maximum: 9 },
    expires: { description: 'A date, or seconds from now.', type: ['string', 'integer'] },
    deliverAt: { description: 'A date, or seconds from now.', type: ['string', 'integer'] },
    contentType: text,
    contentEncoding: text,
    payloadFormat: { enum: ['utf8', 'bytes'] },
    correlationId: { type: ['string', 'object'] },
    messageId: { type: ['string', 'object'] },
    replyTo: text,
    subject: text,
    groupId: text,
    groupSequence: { type: 'integer' },
    properties: { type: 'array', items: { type: 'array', description: 'Name and value.' } },
    sender: { type: 'string', readOnly: true },
    acceptedAt: { type: 'string', format: 'date-time', readOnly: true },
    delivery: { type: 'string', readOnly: true },
    leaseUntil: { type: 'string', format: 'date-time', readOnly: true },
    deliveryCount: { type: 'integer', readOnly: true },
  },
};

const problemSchema: Json = {
  type: 'object',
  properties: { type: text, title: text, status: { type: 'integer' }, detail: text },
  required: ['type', 'title', 'status'],
};

export function openApiText(version: string): string {
  const batch = { 'application/x-ndjson': { schema: { $ref: '#/components/schemas/Message' } }, 'application/cbor-seq': {} };
  const document: Json = {
    openapi: '3.1.0',
    info: { title: 'Heliograph: messages over HTTP', version: version === '' ? '0' : version },
    security: [{ bearer: [] }, { basic: [] }, { certificate: [] }],
    paths: {
      '/v1/topics/{topic}': topicResource,
      '/v1/topics': {
        get: { summary: 'Subscribe to several filters', parameters: streamParameters, responses: { 200: streamAnswer, ...failures } },
      },
      ...queueResources,
      '/v1/messages': {
        post: {
          summary: 'Publish many messages, each with an outcome of its own',
          requestBody: { content: batch },
          responses: { 200: { description: 'One outcome for each message, in order.', content: batch }, 415: problem, ...failures },
        },
      },
      '/v1/subscriptions/{name}': {
        delete: {
          summary: 'End a named subscription',
          parameters: [parameter('name', 'path', 'As in ?subscription=.')],
          responses: { 204: { description: 'It is gone.' }, 404: problem, ...failures },
        },
      },
      '/v1/subscriptions/{name}/ack': {
        post: {
          summary: 'Acknowledge events of the open stream',
          parameters: [parameter('name', 'path', 'As in ?subscription=.'), parameter('id', 'query', 'Of the last event received.')],
          responses: { 200: { description: 'How many were acknowledged.' }, 404: problem, ...failures },
        },
      },
    },
    components: {
      schemas: { Message: message, Problem: problemSchema },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        basic: { type: 'http', scheme: 'basic' },
        certificate: { type: 'mutualTLS' },
      },
    },
  };
  return JSON.stringify(document, undefined, 2);
}
