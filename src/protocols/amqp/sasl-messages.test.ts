import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readBearer, readPlain } from './sasl-messages.ts';

const text = fc.string({ unit: 'grapheme' }).filter((each) => !each.includes('\0'));

test('PLAIN: what was put together is taken apart, and nothing else is taken', () => {
  fc.assert(
    fc.property(
      text,
      text.filter((each) => each !== ''),
      text,
      (authzid, authcid, password) => {
        const read = readPlain(Buffer.from(`${authzid}\0${authcid}\0${password}`));
        assert.deepEqual([read?.authzid, read?.authcid, Buffer.from(read!.password).toString()], [authzid, authcid, password]);
      },
    ),
  );
  for (const bad of ['', '\0', 'a\0b', '\0\0', 'a\0\0p', 'a\0b\0c\0d'])
    assert.equal(readPlain(Buffer.from(bad)), undefined, JSON.stringify(bad));
  assert.equal(readPlain(Uint8Array.of(0, 0xff, 0, 1)), undefined, 'not UTF-8');
});

test('OAUTHBEARER: the token, and whom it is for', () => {
  const read = (message: string) => {
    const found = readBearer(Buffer.from(message));
    return found && [found.authzid, Buffer.from(found.token).toString()];
  };
  assert.deepEqual(read('n,,\x01auth=Bearer a.b.c\x01\x01'), ['', 'a.b.c']);
  assert.deepEqual(read('y,,\x01auth=BEARER a.b.c\x01\x01'), ['', 'a.b.c']);
  assert.deepEqual(read('n,a=ann=2Cx=3D,\x01host=h\x01port=1\x01auth=Bearer t\x01\x01'), ['ann,x=', 't']);
  for (const bad of [
    '',
    '\x01',
    '\x01\x01',
    'n,,',
    'n,,\x01\x01',
    'n,,\x01auth=Bearer\x01\x01',
    'n,,\x01auth=Bearer x',
    'p=x,,\x01auth=Bearer x\x01\x01',
  ]) {
    assert.equal(read(bad), undefined, JSON.stringify(bad));
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void readBearer(bytes)));
});
