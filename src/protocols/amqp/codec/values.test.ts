import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AmqpFault } from './amqp-fault.ts';
import { type AmqpArray, type AmqpValue, stringValue, symbolValue } from './amqp-value.ts';
import { skipValue } from './format-code.ts';
import { anyValue } from './testing/arbitraries.ts';
import { decodeValue, maxValueDepth, maxValues, ValueReader } from './value-reader.ts';
import { encodeValue, ValueWriter } from './value-writer.ts';

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function faultOf(bytes: Uint8Array): string {
  const value = decodeValue(bytes);
  assert.ok(value instanceof AmqpFault, toHex(bytes).slice(0, 40));
  assert.equal(value.condition, 'amqp:decode-error');
  return value.message;
}

const x256 = 'x'.repeat(256);
const uuid = '00112233-4455-6677-8899-aabbccddeeff';

/** [AMQP 1.6] The first encoding of each row is the one that is written. */
const encodings: readonly (readonly [value: AmqpValue, ...encodings: string[]])[] = [
  [{ type: 'null', value: null }, '40'],
  [{ type: 'boolean', value: true }, '41', '5601'],
  [{ type: 'boolean', value: false }, '42', '5600'],
  [{ type: 'ubyte', value: 0 }, '5000'],
  [{ type: 'ubyte', value: 255 }, '50ff'],
  [{ type: 'ushort', value: 0x1234 }, '601234'],
  [{ type: 'uint', value: 0 }, '43', '5200', '7000000000'],
  [{ type: 'uint', value: 255 }, '52ff', '70000000ff'],
  [{ type: 'uint', value: 256 }, '7000000100'],
  [{ type: 'uint', value: 0xffff_ffff }, '70ffffffff'],
  [{ type: 'ulong', value: 0n }, '44', '5300', '800000000000000000'],
  [{ type: 'ulong', value: 255n }, '53ff', '8000000000000000ff'],
  [{ type: 'ulong', value: 0xffff_ffff_ffff_ffffn }, '80ffffffffffffffff'],
  [{ type: 'byte', value: -1 }, '51ff'],
  [{ type: 'byte', value: 127 }, '517f'],
  [{ type: 'short', value: -2 }, '61fffe'],
  [{ type: 'int', value: -128 }, '5480', '71ffffff80'],
  [{ type: 'int', value: 128 }, '7100000080'],
  [{ type: 'int', value: -0x8000_0000 }, '7180000000'],
  [{ type: 'long', value: 127n }, '557f', '81000000000000007f'],
  [{ type: 'long', value: -129n }, '81ffffffffffffff7f'],
  [{ type: 'float', value: 1.5 }, '723fc00000'],
  [{ type: 'float', value: -Infinity }, '72ff800000'],
  [{ type: 'double', value: -0 }, '828000000000000000'],
  [{ type: 'double', value: Math.PI }, '82400921fb54442d18'],
  [{ type: 'decimal32', value: hex('22500001') }, '7422500001'],
  [{ type: 'decimal64', value: hex('2238000000000001') }, '842238000000000001'],
  [{ type: 'decimal128', value: hex('22080000000000000000000000000001') }, '9422080000000000000000000000000001'],
  [{ type: 'char', value: 0x1f600 }, '730001f600'],
  [{ type: 'timestamp', value: 1_311_704_463_521n }, '830000013167adb8a1'],
  [{ type: 'timestamp', value: -1n }, '83ffffffffffffffff'],
  [{ type: 'uuid', value: uuid }, '9800112233445566778899aabbccddeeff'],
  [{ type: 'binary', value: hex('') }, 'a000', 'b000000000'],
  [{ type: 'binary', value: hex('0102') }, 'a0020102', 'b0000000020102'],
  [{ type: 'binary', value: new Uint8Array(256) }, `b000000100${'00'.repeat(256)}`],
  [stringValue('é\0'), 'a103c3a900', 'b100000003c3a900'],
  [stringValue(x256), `b100000100${'78'.repeat(256)}`],
  [symbolValue('foo'), 'a303666f6f', 'b300000003666f6f'],
  [symbolValue(x256), `b300000100${'78'.repeat(256)}`],
  [{ type: 'list', value: [] }, '45', 'c00100', 'd00000000400000000'],
  [{ type: 'list', value: [{ type: 'uint', value: 1 }] }, 'c003015201', 'd000000006000000015201'],
  [{ type: 'map', value: [] }, 'c10100', 'd10000000400000000'],
  [{ type: 'map', value: [[symbolValue('a'), stringValue('b')]] }, 'c10702a30161a10162', 'd10000000a00000002a30161a10162'],
  [{ type: 'array', of: 'uint', value: [1, 255].map((value) => ({ type: 'uint', value })) }, 'e004025201ff', 'f0000000070000000252 01ff'],
  [{ type: 'array', of: 'uint', value: [{ type: 'uint', value: 256 }] }, 'e0060170 00000100'],
  [{ type: 'array', of: 'symbol', value: [symbolValue('a'), symbolValue('bc')] }, 'e00702a301610262 63'],
  [{ type: 'array', of: 'boolean', value: [true, false].map((value) => ({ type: 'boolean', value })) }, 'e00402560100'],
  [{ type: 'array', of: 'boolean', value: [] }, 'e0020056', 'e0020041'],
  [{ type: 'array', of: 'null', value: [{ type: 'null', value: null }] }, 'e0020140'],
  [{ type: 'described', descriptor: { type: 'ulong', value: 0x24n }, value: { type: 'list', value: [] } }, '00532445'],
  // The example of the specification, figure 1.3: a URL.
  [
    { type: 'described', descriptor: stringValue('URL'), value: stringValue('http://example.org/hello-world') },
    `00a10355524ca11e${Buffer.from('http://example.org/hello-world').toString('hex')}`,
  ],
  // Several types in one, and an array of described values.
  [
    { type: 'described', descriptor: { type: 'described', descriptor: symbolValue('a'), value: symbolValue('b') }, value: stringValue('') },
    '0000a30161a30162a100',
  ],
  [{ type: 'array', of: 'string', descriptors: [symbolValue('u')], value: [stringValue('a'), stringValue('')] }, 'e0090200a30175a1016100'],
  // Arrays of compounds.
  [{ type: 'array', of: 'list', value: [{ type: 'list', value: [] }] }, 'e00401c00100', 'e0020145', 'f00000000d00000001d00000000400000000'],
  [
    { type: 'array', of: 'map', value: [{ type: 'map', value: [[symbolValue('a'), { type: 'null', value: null }]] }] },
    'e00801c10502a3016140',
  ],
  [{ type: 'array', of: 'array', value: [{ type: 'array', of: 'null', value: [{ type: 'null', value: null }] }] }, 'e00501e0020140'],
  [
    {
      type: 'array',
      of: 'list',
      value: [
        { type: 'list', value: [] },
        { type: 'list', value: [symbolValue('x'.repeat(253))] },
      ],
    },
    `f0000001 14 00000002 d0 00000004 00000000 00000103 00000001 a3fd${'78'.repeat(253)}`,
  ],
];

test('every encoding of every type is read, and the smallest is written', () => {
  for (const [value, ...rows] of encodings) {
    const [first, ...others] = rows.map(hex);
    assert.equal(
      toHex(encodeValue(value)),
      toHex(first!),
      JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}n` : part)),
    );
    for (const bytes of [first!, ...others]) {
      assert.deepEqual(decodeValue(bytes), value);
      assert.equal(skipValue(bytes, 0, bytes.length), bytes.length);
      for (let cut = 0; cut < bytes.length; cut++) {
        assert.equal(skipValue(bytes, 0, cut), -1);
        faultOf(bytes.subarray(0, cut));
      }
      assert.match(faultOf(new Uint8Array([...bytes, 0x40])), /bytes after the end/);
    }
  }
});

test('any value comes back as it was written, wherever it stands', () => {
  fc.assert(
    fc.property(anyValue, fc.nat(3), (value, before) => {
      const bytes = encodeValue(value);
      assert.deepEqual(decodeValue(bytes), value);
      const shifted = Buffer.concat([Buffer.alloc(before, 0xee), bytes, Buffer.from([0xee])]);
      assert.deepEqual(decodeValue(shifted, before, before + bytes.length), value);
      assert.equal(skipValue(shifted, before, shifted.length), before + bytes.length);
    }),
    { numRuns: 1500 },
  );
});

test('a value that is cut is refused, and never read as another one', () => {
  fc.assert(
    fc.property(anyValue, fc.nat(), (value, at) => {
      const bytes = encodeValue(value);
      faultOf(bytes.subarray(0, at % bytes.length));
    }),
    { numRuns: 500 },
  );
});

test('what is read is a copy', () => {
  const bytes = hex('a0020102');
  const value = decodeValue(bytes);
  bytes.fill(0xff);
  assert.deepEqual(value, { type: 'binary', value: hex('0102') });
});

test('values of a wrong form are refused', () => {
  const cases: readonly (readonly [bytes: string, why: RegExp])[] = [
    ['', /end within/],
    ['00', /end within/],
    ['01', /no type has/],
    ['3f', /no type has/],
    ['46', /no type has/],
    ['57', /no type has/],
    ['99', /no type has/],
    ['a200', /no type has/],
    ['c20100', /no type has/],
    ['ff00000000', /no type has/],
    ['5602', /neither 0 nor 1/],
    ['7300110000', /no Unicode/],
    ['730000d800', /no Unicode/],
    ['a102c328', /UTF-8/],
    ['a103eda080', /UTF-8/],
    ['a102c080', /UTF-8/],
    ['a104f4908080', /UTF-8/],
    ['a30180', /ASCII/],
    // Compounds whose sizes or counts do not fit.
    ['c000', /end within/],
    ['c00000', /does not hold its count/],
    ['d000000003000000', /end within/],
    ['d00000000300000000', /does not hold its count/],
    ['c00101', /end within/],
    ['c0020040', /do not fill/],
    ['c0020240', /end within/],
    ['c10201 40', /has no value/],
    ['c00301a10261', /end within/],
    ['e00100', /end within/],
    ['e0020001', /no type has/],
    ['e0030052 01', /do not fill/],
    ['e0020152', /end within/],
  ];
  for (const [bytes, why] of cases) assert.match(faultOf(hex(bytes)), why, bytes);
});

test('a key that stands twice makes a map invalid', () => {
  // 0 and 0 in another encoding are the same key; 0 of another type is another one.
  assert.match(faultOf(hex('c10604 43 41 5200 42')), /twice/);
  assert.ok(!(decodeValue(hex('c10604 43 41 5300 42')) instanceof AmqpFault));
  assert.match(faultOf(hex('c1090 4a30161 40 a30161 40'.replaceAll(' ', ''))), /twice/);
  assert.ok(!(decodeValue(hex('c10904a3016140a1016140')) instanceof AmqpFault));
});

test('deep nesting is refused without using up the stack', () => {
  assert.ok(!(decodeValue(nested(maxValueDepth)) instanceof AmqpFault));
  assert.match(faultOf(nested(maxValueDepth + 1)), /too deep/);
  assert.match(faultOf(nested(10_000)), /too deep/);
  // Descriptors of descriptors, and values that are described again and again.
  const deep = new Uint8Array(1_000_000);
  assert.match(faultOf(deep), /too deep/);
  assert.equal(skipValue(deep, 0, deep.length), -1);
  const chain = new Uint8Array(300_001).fill(0x40);
  for (let i = 0; i < 300_000; i += 3) chain.set([0x00, 0x53, 0x01], i);
  assert.match(faultOf(chain), /too deep/);
  assert.equal(skipValue(chain, 0, chain.length), chain.length);
  // Arrays of arrays.
  let array = hex('f00000000500000000 40');
  for (let i = 0; i < 100; i++) {
    const outer = new Uint8Array(array.length + 9);
    outer.set([0xf0, 0, 0, 0, 0, 0, 0, 0, 1]);
    new DataView(outer.buffer).setUint32(1, array.length + 4);
    outer.set(array, 9);
    array = outer;
  }
  assert.match(faultOf(array), /too deep/);
});

function nested(depth: number): Uint8Array {
  const bytes = new Uint8Array(depth * 9);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < depth; i++) {
    bytes[i * 9] = 0xd0;
    view.setUint32(i * 9 + 1, (depth - i) * 9 - 5);
    view.setUint32(i * 9 + 5, i + 1 === depth ? 0 : 1);
  }
  return bytes;
}

test('sizes and counts that are only announced take no memory', () => {
  for (const bytes of ['b0ffffffff', 'b1fffffff0', 'b3ffffffff', 'd0ffffffffffffffff', 'd1fffffffffffffffe', 'f0ffffffffffffffff40']) {
    const before = process.memoryUsage().arrayBuffers;
    assert.match(faultOf(hex(bytes)), /end within/);
    assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
  }
  // A count without the bytes for it ends where the bytes do.
  assert.match(faultOf(hex('d00000000641ffffff4040')), /end within/);
  assert.match(faultOf(hex('f000000006ffffffff5201')), /end within/);
});

test('elements of no width are limited, too', () => {
  for (const code of ['40', '41', '42', '43', '44', '45']) {
    assert.match(faultOf(hex(`f000000005ffffffff${code}`)), /too many values/);
  }
  assert.match(faultOf(hex(`f000000005${(maxValues + 1).toString(16).padStart(8, '0')}40`)), /too many/);
  const some = decodeValue(hex('f0000000050000ffff40')) as AmqpArray;
  assert.equal(some.value.length, 0xffff);
  // The limit holds for all of a reading together.
  const one = 'f0000000050003000040';
  assert.match(faultOf(hex(`d000000018000000 02${one}${one}`)), /too many/);
});

test('after a fault a reader reads nothing more', () => {
  const reader = new ValueReader(hex('a10161 43 43'));
  reader.uint();
  assert.match(reader.fault!.message, /another type where a uint/);
  const first = reader.fault;
  assert.equal(reader.string(), '');
  assert.equal(reader.boolean(), false);
  assert.equal(reader.binary().length, 0);
  assert.deepEqual(reader.symbols(), []);
  assert.equal(reader.fields().size, 0);
  assert.equal(reader.ulong(), 0n);
  assert.equal(reader.atEnd, true);
  assert.equal(reader.fault, first);
  reader.reset(hex('43'), 0, 1);
  assert.equal(reader.uint(), 0);
  assert.equal(reader.fault, undefined);
});

test('one symbol or many are read as a list of symbols', () => {
  const read = (text: string) => {
    const reader = new ValueReader(hex(text));
    const symbols = reader.symbols();
    return reader.fault?.message ?? symbols;
  };
  assert.deepEqual(read('a30161'), ['a']);
  assert.deepEqual(read('e00602a301610162'), ['a', 'b']);
  assert.deepEqual(read('e00200a3'), []);
  assert.match(read('a10161') as string, /one symbol or an array/);
  assert.match(read('c00401a30161') as string, /one symbol or an array/);
  // An array of symbols that are described is something else.
  assert.match(read('e0080100a30162a30161') as string, /one symbol or an array/);
});

test('a writer grows, is used again, and turns a list narrow only where it fits', () => {
  const writer = new ValueWriter(4);
  for (const length of [252, 253, 254, 255, 300]) {
    const value: AmqpValue = { type: 'list', value: [{ type: 'binary', value: new Uint8Array(length) }] };
    writer.reset().value(value);
    assert.deepEqual(decodeValue(writer.copy()), value);
    assert.equal(writer.bytes[0], length <= 252 ? 0xc0 : 0xd0);
  }
  const nulls: AmqpValue = { type: 'list', value: Array.from({ length: 256 }, () => ({ type: 'null', value: null })) };
  assert.deepEqual(decodeValue(encodeValue(nulls)), nulls);
  assert.throws(() => encodeValue({ type: 'array', of: 'uint', value: [{ type: 'int', value: 1 }] }), TypeError);
});
