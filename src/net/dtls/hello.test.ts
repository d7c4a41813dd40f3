import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandshakeEnd, type AlertName } from './alert.ts';
import { u16, u8, vector } from './bytes.ts';
import { readClientHello, writeHelloVerifyRequest, writeServerHello } from './hello.ts';

const random = Buffer.alloc(32, 5);

function hello(
  extensions: Uint8Array | undefined,
  changes: { compressions?: Uint8Array; sessionId?: Uint8Array; suites?: Uint8Array } = {},
): Buffer {
  const { compressions = u8(0), sessionId = new Uint8Array(), suites = u16(0xc0a8) } = changes;
  const head = [u16(0xfefd), random, vector(1, sessionId), vector(1), vector(2, suites), vector(1, compressions)];
  return Buffer.concat(extensions === undefined ? head : [...head, vector(2, extensions)]);
}

function extension(type: number, body: Uint8Array): Buffer {
  return Buffer.concat([u16(type), vector(2, body)]);
}

function assertRefused(body: Uint8Array, alert: AlertName): void {
  assert.throws(
    () => readClientHello(body),
    (error: unknown) => error instanceof HandshakeEnd && error.alert === alert,
  );
}

test('a hello without extensions is read', () => {
  const { suites, groups, hasExtendedMasterSecret, connectionId } = readClientHello(hello(undefined));
  assert.deepEqual([suites, groups, hasExtendedMasterSecret, connectionId], [[0xc0a8], undefined, false, undefined]);
});

test('the extensions that the server knows are read, others are passed over', () => {
  const read = readClientHello(
    hello(
      Buffer.concat([
        extension(0x7777, Buffer.alloc(9)),
        extension(0, vector(2, u8(0), vector(2, Buffer.from('Node.Example')))),
        extension(1, u8(2)),
        extension(10, vector(2, u16(29), u16(23))),
        extension(11, vector(1, u8(0))),
        extension(13, vector(2, u16(0x0403))),
        extension(19, vector(1, u8(2), u8(0))),
        extension(20, vector(1, u8(0))),
        extension(23, new Uint8Array()),
        extension(54, vector(1, Buffer.of(9, 8))),
        extension(0xff01, u8(0)),
      ]),
    ),
  );
  assert.equal(read.serverName, 'node.example');
  assert.equal(read.maxFragment, 1024);
  assert.deepEqual(read.groups, [29, 23]);
  assert.deepEqual(read.signatureAlgorithms, [0x0403]);
  assert.deepEqual([read.clientCertificateTypes, read.serverCertificateTypes], [[2, 0], [0]]);
  assert.ok(read.hasPointFormats && read.hasExtendedMasterSecret && read.hasRenegotiationInfo);
  assert.deepEqual(read.connectionId, Uint8Array.of(9, 8));
});

test('the signalling suite stands for the extension of RFC 5746', () => {
  assert.ok(readClientHello(hello(undefined, { suites: Buffer.concat([u16(0xc0a8), u16(0x00ff)]) })).hasRenegotiationInfo);
});

test('what contradicts the RFCs is refused with the right alert', () => {
  const ems = extension(23, new Uint8Array());
  assertRefused(hello(Buffer.concat([ems, ems])), 'decode-error');
  assertRefused(hello(undefined, { compressions: u8(1) }), 'decode-error');
  assertRefused(hello(undefined, { compressions: new Uint8Array() }), 'decode-error');
  assertRefused(hello(undefined, { sessionId: new Uint8Array(33) }), 'decode-error');
  assertRefused(hello(undefined, { suites: u8(1) }), 'decode-error');
  assertRefused(hello(extension(0xff01, vector(1, u8(1)))), 'handshake-failure');
  assertRefused(hello(extension(11, vector(1, u8(1)))), 'illegal-parameter');
  assertRefused(hello(extension(1, u8(5))), 'illegal-parameter');
  assertRefused(hello(extension(23, u8(0))), 'decode-error');
  assertRefused(hello(extension(54, Buffer.of(3, 1))), 'decode-error');
  assertRefused(Buffer.concat([hello(new Uint8Array()), u8(0)]), 'decode-error');
});

test('a hello cut at any byte is refused, or was whole there', () => {
  const whole = hello(extension(54, vector(1, Buffer.of(1))));
  const ends = hello(undefined).length;
  for (let i = 0; i < whole.length; i++) if (i !== ends) assertRefused(whole.subarray(0, i), 'decode-error');
});

test('what the server writes, byte by byte', () => {
  assert.equal(Buffer.from(writeHelloVerifyRequest(Buffer.from('aabb', 'hex'))).toString('hex'), 'feff02aabb');
  const bytes = writeServerHello({ random, sessionId: Buffer.of(7), suite: 0xc0a8, extensions: [{ type: 23, body: new Uint8Array() }] });
  assert.equal(Buffer.from(bytes).toString('hex'), `fefd${random.toString('hex')}0107c0a800000400170000`);
});
