// The HTTP API behind the parser of Node: several requests of one peer, a line each, on a broker of their own.

import assert from 'node:assert/strict';
import { assertBooks } from '../../../src/broker/testing/test-broker.ts';
import { HttpTest } from '../../../src/protocols/http/testing/fake-exchange.ts';
import type { Target } from '../target.ts';

// METHOD target|Name: value|…||body — a line for each request.
const seeds = [
  'POST /v1/topics/a/b|Content-Type: text/plain|Property-x: y||hello',
  'PUT /v1/topics/a|Expires: 60s||v\nGET /v1/topics/a|If-None-Match: "x"\nDELETE /v1/topics/a',
  'GET /v1/topics/a/%2B?subscription=s&filter=b|Accept: text/event-stream|Last-Event-ID: 1-2-3.4-5\nPOST /v1/topics/a/b||x',
  'POST /v1/queues/q|Qos: 2|Idempotency-Key: "k"||x\nPOST /v1/queues/q/receive?wait=1s&max=3&lease=5s\nPOST /v1/queues/q/ack?delivery=a',
  'POST /v1/queues/q/nack|Content-Type: application/json||{"deliveries":["a"],"failed":true,"lease":"5s"}',
  'POST /v1/messages|Content-Type: application/x-ndjson||{"topic":"a","payload":"x","properties":{"a":"b"},"expires":5}',
  'POST /v1/messages|Content-Type: application/cbor-seq||\u00a1etopicaa',
  'POST /v1/topics/a?reply=5s|Correlation-Id: :AAE=:|Reply-To: r||x\nOPTIONS /v1/topics/a|Origin: https://x|Access-Control-Request-Method: PUT',
];

export const target: Target = {
  name: 'http-requests',
  properties: [
    'each request is answered once at most, by a status that HTTP knows, and nothing is thrown',
    'headers of answers are visible ASCII',
    'the books of the broker balance, and nothing is left when the peer has gone and time has passed',
  ],
  covers: /\/src\/protocols\/http\/[a-z-]+\.ts$/,
  maxBytes: 2048,
  slowMs: 200,
  seeds: seeds.map((text) => Buffer.from(text, 'latin1')),
  dictionary: [
    '/v1/topics/',
    '/v1/queues/',
    '/receive',
    'Idempotency-Key: ',
    '%2B',
    '%23',
    '?reply=1s',
    '&filter=',
    '"payloadBase64":"',
    ':AA==:',
  ].map((word) => Buffer.from(word)),
  async run(input) {
    const test = await HttpTest.start();
    const peer = test.connect();
    const words: string[] = [];
    const exchanges = Buffer.from(input)
      .toString('latin1')
      .split('\n')
      .slice(0, 8)
      .flatMap((line) => {
        const [head = '', body = ''] = line.split('||', 2);
        const [start = '', ...fields] = head.split('|');
        const [method = '', path = ''] = start.split(' ', 2);
        // What Node's parser lets through.
        if (!/^[A-Z]+$/.test(method) || !/^\/[!-~]*$/.test(path)) return [];
        const headers: Record<string, string> = {};
        for (const field of fields) {
          const found = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t -~\u0080-\u00ff]*)$/.exec(field);
          if (found !== null) headers[found[1]!] = found[2]!.trim();
        }
        return [peer.send(method, path, headers, Buffer.from(body, 'latin1'))];
      });
    test.advance(1000);
    for (const { answers, status, headers, method } of exchanges) {
      assert.ok(answers <= 1, 'answered twice');
      if (status === undefined) continue;
      assert.ok(status >= 200 && status < 600);
      for (const value of Object.values(headers).flat()) assert.match(value, /^[ -~]*$/);
      words.push(`${method} ${status}`);
    }
    peer.close();
    test.advance(700_000);
    test.advance(700_000);
    assertBooks(test.broker);
    assert.equal(test.server.counters.leases, 0);
    assert.equal(test.server.counters.streams, 0);
    return words;
  },
};
