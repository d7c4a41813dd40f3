import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { booleanOf, contentOf, oidOf, readDer, smallIntegerOf, tags, timeOf, unsignedHexOf, wholeOf } from './der-reader.ts';
import { element, generalizedTime, integer, octets, oid, sequence, time } from './der-writer.ts';

const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(' ', ''), 'hex');

test('what is written is read again', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.bigInt({ min: 0n, max: 2n ** 159n }), (content, number) => {
      const hex = number.toString(16);
      const written = sequence(octets(content), integer(hex));
      const read = readDer(written, (reader) => {
        const inner = reader.enter(tags.sequence);
        const first = Buffer.from(contentOf(inner.take(tags.octetString)));
        const second = unsignedHexOf(inner.take(tags.integer), 20);
        inner.end();
        return [first.toString('hex'), second];
      });
      assert.deepEqual(read, [Buffer.from(content).toString('hex'), hex]);
    }),
  );
});

test('object identifiers', () => {
  for (const dotted of [
    '1.2.840.10045.4.3.2',
    '2.5.29.46',
    '1.3.101.112',
    '2.999.1',
    '0.9.2342',
    '2.25.264729382194729385016284759301827465',
  ]) {
    assert.equal(
      readDer(oid(dotted), (reader) => oidOf(reader.take(tags.oid))),
      dotted,
    );
  }
  for (const wrong of ['06 00', '06 02 55 9d', '06 03 55 80 01', `06 41 ${'81 '.repeat(64)}01`]) {
    assert.equal(
      readDer(bytes(wrong), (reader) => oidOf(reader.take(tags.oid))),
      undefined,
      wrong,
    );
  }
});

test('times are read and written to the second, in the form for their year', () => {
  for (const iso of [
    '1970-01-01T00:00:00Z',
    '2026-11-23T01:02:03Z',
    '2049-12-31T23:59:59Z',
    '2050-01-01T00:00:00Z',
    '2400-02-29T12:00:00Z',
  ]) {
    const ms = Date.parse(iso);
    assert.equal(time(ms)[0], Number(iso.slice(0, 4)) < 2050 ? tags.utcTime : tags.generalizedTime, iso);
    for (const written of [time(ms), generalizedTime(ms)]) {
      assert.equal(
        readDer(written, (reader) => timeOf(reader.take())),
        ms,
      );
    }
  }
  for (const text of ['20260230000000Z', '20261323000000Z', '20260101240000Z', '20260101000000', '20260101000000.5Z', '2026010100Z']) {
    const wrong = element(tags.generalizedTime, Buffer.from(text));
    assert.equal(
      readDer(wrong, (reader) => timeOf(reader.take())),
      undefined,
      text,
    );
  }
});

test('only the one encoding is read', () => {
  const wrong = {
    'an indefinite length': '30 80 00 00',
    'a length in two bytes that fits one': '30 81 01 05',
    'a length with a leading zero': `30 82 00 80 ${'00'.repeat(128)}`,
    'a length beyond the end': '30 03 05 00',
    'an endless length': '30 85 01 00 00 00 00',
    'no length': '30',
    'a long tag': '1f 81 01 00',
    'something behind it': '05 00 05 00',
  };
  for (const [what, hex] of Object.entries(wrong)) {
    assert.equal(
      readDer(bytes(hex), (reader) => reader.take()),
      undefined,
      what,
    );
  }
  for (const hex of ['02 00', '02 01 80', '02 02 00 7f', '02 06 00 80 00 00 00 00']) {
    assert.equal(
      readDer(bytes(hex), (reader) => smallIntegerOf(reader.take(tags.integer))),
      undefined,
      hex,
    );
  }
  for (const [hex, read] of [
    ['02 02 ff 00', undefined],
    ['02 03 00 ff 00', 'ff00'],
    ['02 03 01 ff 00', undefined],
    ['02 04 00 ff ff 00', undefined],
  ] as const) {
    assert.equal(
      readDer(bytes(hex), (reader) => unsignedHexOf(reader.take(tags.integer), 2)),
      read,
      hex,
    );
  }
  assert.equal(
    readDer(bytes('01 01 01'), (reader) => booleanOf(reader.take(tags.boolean))),
    undefined,
  );
});

test('any bytes are read or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (input) => {
      readDer(input, (reader) => {
        while (!reader.atEnd) assert.ok(wholeOf(reader.take()).length >= 2);
      });
    }),
  );
});
