import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressBytes, hasHostBits, isInNetwork, networkText, parseNetwork } from './network.ts';

test('addresses are read as everybody else reads them', () => {
  const cases: [string, string | undefined][] = [
    ['192.0.2.1', 'c0000201'],
    ['::ffff:192.0.2.1', 'c0000201'],
    ['::FFFF:c000:201', 'c0000201'],
    ['::', '0'.repeat(32)],
    ['::1', `${'0'.repeat(31)}1`],
    ['2001:db8::1', '20010db8000000000000000000000001'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
    ['fe80::1%eth0', 'fe800000000000000000000000000001'],
    ['::1.2.3.4', '00000000000000000000000001020304'],
  ];
  for (const [text, hex] of cases) assert.equal(Buffer.from(addressBytes(text)!).toString('hex'), hex, text);
  for (const bad of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1::2::3',
    '12345::',
    ':1',
    '1:2:3:4:5:6:7:8:9',
    'g::',
    '1:2:3:4:5:6:7',
    '1.2.3.4:5',
    ':::',
    '1:2:3:4:5:6:7:8::',
  ]) {
    assert.equal(addressBytes(bad), undefined, bad);
  }
});

test('being in a network agrees with node:net', () => {
  const v4 = fc.ipV4();
  const v6 = fc.ipV6().filter((text) => !text.toLowerCase().startsWith('::ffff:'));
  const pair = fc.oneof(fc.tuple(v4, v4, fc.integer({ min: 0, max: 32 })), fc.tuple(v6, v6, fc.integer({ min: 0, max: 128 })));
  fc.assert(
    fc.property(pair, fc.boolean(), ([network, other, bits], same) => {
      const address = same ? network : other;
      const family = network.includes(':') ? 'ipv6' : 'ipv4';
      const list = new BlockList();
      list.addSubnet(network, bits, family);
      const parsed = parseNetwork(`${network}/${bits}`)!;
      assert.equal(isInNetwork(addressBytes(address)!, parsed), list.check(address, family), `${address} in ${network}/${bits}`);
      const cleared = parseNetwork(networkText(parsed))!;
      assert.equal(hasHostBits(cleared), false, networkText(parsed));
      assert.equal(isInNetwork(addressBytes(network)!, cleared), true);
    }),
    { numRuns: 500 },
  );
});

test('what is no network is refused', () => {
  for (const bad of [
    '',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '::/129',
    '10.0.0.0/8/8',
    '::ffff:10.0.0.0/90',
    'fe80::1%eth0/64',
    'x/8',
    '10.0.0.0/-1',
  ]) {
    assert.equal(parseNetwork(bad), undefined, bad);
  }
  assert.deepEqual(parseNetwork('10.1.2.3'), { bytes: [10, 1, 2, 3], bits: 32 });
  assert.deepEqual(parseNetwork('::ffff:10.0.0.0/104'), { bytes: [10, 0, 0, 0], bits: 8 });
  assert.equal(hasHostBits(parseNetwork('10.1.0.0/8')!), true);
  assert.equal(networkText(parseNetwork('10.1.2.3/8')!), '10.0.0.0/8');
  assert.equal(isInNetwork([10, 0, 0, 1], parseNetwork('::/0')!), false, 'of another family');
});
