import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainRecord, RecordCursor } from './record.ts';

test('the records of a datagram, one after the other, up to what is none', () => {
  const datagram = Buffer.concat([
    plainRecord(22, 0xfeff, 7, Buffer.from('one')),
    plainRecord(21, 0xfefd, 8, Buffer.from('two')),
    Buffer.of(22, 0xfe),
  ]);
  const cursor = new RecordCursor(6);
  const found: unknown[] = [];
  for (let at = 0; cursor.read(datagram, at); at = cursor.end) {
    found.push([cursor.type, cursor.epoch, cursor.sequence, datagram.toString('latin1', cursor.start, cursor.end)]);
  }
  assert.deepEqual(found, [
    [22, 0, 7, 'one'],
    [21, 0, 8, 'two'],
  ]);
});

test('a record with Connection ID', () => {
  const datagram = Buffer.from('19fefd00010000000000ff0102030405060002aabb', 'hex');
  const cursor = new RecordCursor(6);
  assert.ok(cursor.read(datagram, 0));
  assert.deepEqual([cursor.type, cursor.epoch, cursor.sequence, cursor.cid], [25, 1, 255, 0x010203040506]);
  assert.equal(datagram.toString('hex', cursor.start, cursor.end), 'aabb');
  assert.deepEqual(cursor.cidIn(datagram), Buffer.from('010203040506', 'hex'));
});

test('what is no record of DTLS 1.2', () => {
  const good = plainRecord(22, 0xfefd, 1, Buffer.from('body'));
  const cursor = new RecordCursor(6);
  assert.ok(cursor.read(good, 0));
  for (let i = 0; i < good.length; i++) assert.ok(!cursor.read(good.subarray(0, i), 0), `cut at ${i}`);
  for (const [at, value] of [
    [0, 19],
    [0, 24],
    [0, 26],
    [0, 0x40],
    [1, 3],
    [2, 0xfc],
  ] as const) {
    const bad = Buffer.from(good);
    bad[at] = value;
    assert.ok(!cursor.read(bad, 0), `${value} at ${at}`);
  }
  // The version of the first hello is that of no protected record.
  const late = plainRecord(23, 0xfeff, 1, Buffer.from('body'));
  late[4] = 1;
  assert.ok(!cursor.read(late, 0));
});
