import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Output } from '../../../base/output.ts';
import { escape, unescape } from './escaping.ts';
import { encodeFrame, type Frame, FrameReader, headText, StompFault, type Version, versions, writeBeat, writeFrame } from './index.ts';

const limits = { maxHeadBytes: 200, maxHeaders: 10, maxBodyBytes: 100 };

/** The frames of `bytes`, which come in pieces of `step`; then why it ended, if it did. */
function read(bytes: Uint8Array, step: number, version: Version = '1.2', of = limits): unknown[] {
  const reader = new FrameReader(of);
  reader.version = version;
  const found: unknown[] = [];
  for (let at = 0; at < bytes.length; at += step) {
    const fault = reader.push(bytes.subarray(at, at + step), {
      frame: (frame) => {
        found.push([
          frame.command,
          ...frame.headers.map((each) => each.join('=')),
          Buffer.from(frame.buffer.subarray(frame.start, frame.end)).toString('latin1'),
        ]);
        return true;
      },
    });
    assert.ok(reader.keptBytes <= of.maxHeadBytes + of.maxBodyBytes);
    if (fault !== undefined) return [...found, fault.message];
  }
  return found;
}

/** What each text on the wire means. In latin1, so that any byte can be written. */
const table: readonly (readonly [name: string, wire: string, expected: readonly unknown[], version?: Version])[] = [
  ['a frame', 'SEND\ndestination:a\n\nhi\0', [['SEND', 'destination=a', 'hi']]],
  ['CR LF', 'SEND\r\ndestination:a\r\n\r\nhi\0', [['SEND', 'destination=a', 'hi']]],
  ['no headers and no body', 'BEGIN\n\n\0', [['BEGIN', '']]],
  [
    'line ends and heart-beats between frames',
    '\n\r\n\nA\n\n\0\n\n\r\nB\n\n\0\n',
    [
      ['A', ''],
      ['B', ''],
    ],
  ],
  ['a body with zeros, as long as it says', 'SEND\ncontent-length:3\n\n\0a\0\0', [['SEND', 'content-length=3', '\0a\0']]],
  ['an empty body that says so', 'SEND\ncontent-length:0\n\n\0', [['SEND', 'content-length=0', '']]],
  ['a body that looks like a frame', 'SEND\n\nA\n\nb\0', [['SEND', 'A\n\nb']]],
  ['escapes', 'S\na\\cb:c\\nd\\re\\\\\n\n\0', [['S', 'a:b=c\nd\re\\', '']]],
  ['no escapes in CONNECT', 'CONNECT\na:b\\c\n\n\0', [['CONNECT', 'a=b\\c', '']]],
  ['no escapes in 1.0', 'S\na:b\\c\n\n\0', [['S', 'a=b\\c', '']], '1.0'],
  ['a colon in a value', 'S\na:b:c\n\n\0', [['S', 'a=b:c', '']]],
  ['an empty value', 'S\na:\n\n\0', [['S', 'a=', '']]],
  ['spaces, which belong to the value', 'S\na: b \n\n\0', [['S', 'a= b ', '']]],
  ['repeated headers, in order', 'S\na:1\na:2\n\n\0', [['S', 'a=1', 'a=2', '']]],
  ['UTF-8', 'S\na:\xc3\xa4\n\n\0', [['S', 'a=ä', '']]],
  ['the first content-length', 'S\ncontent-length:1\ncontent-length:9\n\n\0\0', [['S', 'content-length=1', 'content-length=9', '\0']]],
  ['an undefined escape', 'S\na:b\\t\n\n\0', ['malformed frame']],
  ['an escape at the end', 'S\na:b\\\n\n\0', ['malformed frame']],
  ['an escaped CR in 1.1', 'S\na:b\\r\n\n\0', ['malformed frame'], '1.1'],
  ['a header without colon', 'S\nab\n\n\0', ['malformed frame']],
  ['a header without name', 'S\n:b\n\n\0', ['malformed frame']],
  ['a CR within a header', 'S\na:b\rc\n\n\0', ['malformed frame']],
  ['a CR without LF between frames', '\rX', ['malformed frame']],
  ['no UTF-8', 'S\na:\xff\n\n\0', ['malformed frame']],
  ['a length that is none', 'S\ncontent-length:x\n\n\0', ['malformed frame']],
  ['a negative length', 'S\ncontent-length:-1\n\n\0', ['malformed frame']],
  ['a body longer than it says', 'S\ncontent-length:1\n\nab\0', ['malformed frame']],
  ['a length above the limit', 'S\ncontent-length:101\n\n', ['body too large']],
  ['a length beyond all numbers', 'S\ncontent-length:99999999999999999999\n\n', ['malformed frame']],
  ['a body above the limit', `S\n\n${'x'.repeat(101)}\0`, ['body too large']],
  ['a body at the limit', `S\n\n${'x'.repeat(100)}\0`, [['S', 'x'.repeat(100)]]],
  ['headers above the limit', `S\n${'a:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n'.repeat(6)}\n\0`, ['headers too large']],
  ['headers without end', 'x'.repeat(1000), ['headers too large']],
  ['too many headers', `S\n${'a:b\n'.repeat(11)}\n\0`, ['too many headers']],
];

describe('frames', () => {
  for (const [name, wire, expected, version] of table) {
    test(`of ${name}, whole and byte by byte`, () => {
      const bytes = Buffer.from(wire, 'latin1');
      for (const step of [bytes.length, 1, 2, 3, 7]) assert.deepEqual(read(bytes, step, version), expected, `in pieces of ${step}`);
    });
  }

  test('come out as they went in, whatever the cut', () => {
    // NUL cannot be said.
    const text = fc.string({ unit: 'binary', maxLength: 12 }).map((given) => given.replaceAll('\0', ''));
    const name = text.filter((each) => each !== '' && each !== 'content-length');
    const frames = fc.array(
      fc.record({ headers: fc.array(fc.tuple(name, text), { maxLength: 4 }), body: fc.uint8Array({ maxLength: 40 }) }),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(frames, fc.integer({ min: 1, max: 30 }), fc.constantFrom('1.1', '1.2'), (given, step, version) => {
        const clean = (words: string): string => (version === '1.1' ? words.replaceAll('\r', ' ') : words);
        const wire = given.map(({ headers, body }) =>
          encodeFrame('SEND', [...headers, ['content-length', String(body.length)]], body, version),
        );
        const wanted = given.map(({ headers, body }) => [
          'SEND',
          ...headers.map(([key, value]) => `${clean(key)}=${clean(value)}`),
          `content-length=${body.length}`,
          Buffer.from(body).toString('latin1'),
        ]);
        assert.deepEqual(read(Buffer.concat(wire), step, version, { maxHeadBytes: 10_000, maxHeaders: 10, maxBodyBytes: 100 }), wanted);
      }),
      { numRuns: 300 },
    );
  });

  test('are never anything but frames or a fault, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 50 }), (bytes, step) => {
        assert.deepEqual(read(bytes, step), read(bytes, bytes.length || 1));
      }),
      { numRuns: 500 },
    );
  });

  test('that nobody wants now are left where they are', () => {
    const reader = new FrameReader(limits);
    const bytes = Buffer.from('A\n\n\0\nB\n\n\0');
    const seen: string[] = [];
    const sink = { frame: ({ command }: Frame): boolean => (seen.push(command), false) };
    assert.equal(reader.push(bytes, sink), undefined);
    assert.deepEqual([seen, reader.rest], [['A'], 4]);
    assert.equal(reader.push(bytes.subarray(reader.rest), sink), undefined);
    assert.deepEqual(seen, ['A', 'B']);
  });

  test('that end within their head are no frames: the next one would be taken for a part of them', () => {
    for (const cut of [1, 1000]) {
      const reader = new FrameReader(limits);
      const bytes = Buffer.from('SEND\ndestination:/topic/a\0SEND\ndestination:/topic/b\n\nx\0');
      let fault: StompFault | undefined;
      for (let at = 0; at < bytes.length && fault === undefined; at += cut) {
        fault = reader.push(bytes.subarray(at, at + cut), { frame: () => assert.fail('a frame') });
      }
      assert.equal(fault?.message, 'malformed frame');
    }
  });

  test('cost only what has come, however long they say they will be', () => {
    const reader = new FrameReader({ maxHeadBytes: 1000, maxHeaders: 10, maxBodyBytes: 1024 ** 3 });
    reader.push(Buffer.from('SEND\ncontent-length:1000000000\n\nabc'), { frame: () => true });
    assert.equal(reader.keptBytes, 3);
  });
});

test('escaping is undone by unescaping', () => {
  for (const version of versions) {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const sayable = text.replaceAll('\0', ' ');
        const lost = version === '1.0' ? sayable.replace(/[\r\n]/g, ' ') : version === '1.1' ? sayable.replaceAll('\r', ' ') : sayable;
        assert.equal(unescape(escape(text, version), version), lost);
      }),
      { numRuns: 100 },
    );
  }
  assert.ok(unescape('\\q', '1.2') instanceof StompFault);
});

test('what is written is what encodeFrame says, between heart-beats', () => {
  const output = new Output(() => {});
  writeBeat(output);
  const body = Buffer.from('xäy');
  const written = writeFrame(output, headText('MESSAGE', [['a', 'ä:\n']], '1.2'), body, 1, 3);
  const bytes = Buffer.concat(output.takeChunks());
  assert.equal(written, bytes.length - 1);
  assert.deepEqual(bytes.subarray(1), encodeFrame('MESSAGE', [['a', 'ä:\n']], 'ä'));
});
