import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { codeName } from './codes.ts';
import { contentFormat, contentFormatNumber, contentFormats } from './content-formats.ts';
import type { CoapOption } from './message.ts';
import { emptyOption, textBytes, textOption, textValue, uintBytes, uintOption, uintValue } from './option-values.ts';
import {
  badCriticalOption,
  isCritical,
  isIgnored,
  isNoCacheKey,
  isUnsafeToForward,
  OptionNumber,
  optionFacts,
  optionName,
  optionValue,
  withOption,
  withoutOption,
} from './options.ts';
import { hasDotSegment, isSegment, joinPath, pathSegment, pathSegments, queryArguments, queryValue } from './uri.ts';

suite('option numbers', () => {
  // RFC 7252, Table 4: critical, unsafe, no cache key.
  test('say what an option is', () => {
    const expected: Readonly<Record<string, string>> = {
      ifMatch: 'C',
      uriHost: 'CU',
      etag: '',
      ifNoneMatch: 'C',
      uriPort: 'CU',
      locationPath: '',
      uriPath: 'CU',
      contentFormat: '',
      maxAge: 'U',
      uriQuery: 'CU',
      accept: 'C',
      locationQuery: '',
      proxyUri: 'CU',
      proxyScheme: 'CU',
      size1: 'N',
      observe: 'U',
      block1: 'CU',
      block2: 'CU',
      size2: 'N',
      noResponse: 'U',
      oscore: 'C',
      hopLimit: '',
      echo: 'N',
      requestTag: '',
      qBlock1: 'CU',
      qBlock2: 'CU',
      edhoc: 'C',
    };
    for (const [name, number] of Object.entries(OptionNumber)) {
      const words = `${isCritical(number) ? 'C' : ''}${isUnsafeToForward(number) ? 'U' : ''}${!isUnsafeToForward(number) && isNoCacheKey(number) ? 'N' : ''}`;
      assert.equal(words, expected[name], name);
      assert.ok(optionFacts(number) !== undefined, name);
    }
    assert.equal(optionName(11), 'Uri-Path');
    assert.equal(optionName(2), '2');
    assert.equal(optionFacts(70_000), undefined);
  });

  test('critical ones that cannot be processed are found', () => {
    const all = (): boolean => true;
    assert.equal(badCriticalOption([textOption(11, 'a'), textOption(11, 'b'), uintOption(17, 50)], all), 0);
    assert.equal(badCriticalOption([emptyOption(9001)], all), 9001);
    assert.equal(badCriticalOption([emptyOption(9000)], all), 0);
    assert.equal(badCriticalOption([uintOption(17, 1), uintOption(17, 2)], all), 17);
    assert.equal(badCriticalOption([textOption(3, '')], all), 3);
    assert.equal(badCriticalOption([textOption(11, 'x'.repeat(256))], all), 11);
    assert.equal(
      badCriticalOption([emptyOption(21)], (number) => number !== 21),
      21,
    );
  });

  test('elective ones that are not as they should be are ignored', () => {
    const options: CoapOption[] = [uintOption(6, 0), uintOption(6, 1), uintOption(12, 0x1_0000), emptyOption(9000)];
    assert.deepEqual(
      options.map((_, index) => isIgnored(options, index)),
      [false, true, true, false],
    );
  });

  test('lists of options are read, added to and taken from', () => {
    const options = [uintOption(6, 0), textOption(11, 'a'), uintOption(60, 9)];
    assert.deepEqual(optionValue(options, 11), textBytes('a'));
    assert.equal(optionValue(options, 12), undefined);
    assert.deepEqual(
      withOption(options, textOption(11, 'b')).map(({ number }) => number),
      [6, 11, 11, 60],
    );
    assert.deepEqual(
      withoutOption(options, 11).map(({ number }) => number),
      [6, 60],
    );
    assert.equal(withoutOption(options, 12), options);
  });
});

suite('values', () => {
  test('numbers are as short as they can be, and are read back', () => {
    fc.assert(
      fc.property(fc.nat(Number.MAX_SAFE_INTEGER), (number) => {
        const bytes = uintBytes(number);
        assert.equal(uintValue(bytes), number);
        assert.notEqual(bytes[0], 0);
        assert.equal(uintValue(Uint8Array.of(0, ...bytes)), number);
      }),
    );
    assert.equal(uintBytes(0).length, 0);
    assert.ok(Number.isNaN(uintValue(new Uint8Array(9).fill(255))));
  });

  test('text that is not UTF-8 is none', () => {
    assert.equal(textValue(textBytes('grün')), 'grün');
    assert.equal(textValue(Uint8Array.of(0xff)), undefined);
  });
});

suite('paths and queries', () => {
  const options = [
    textOption(3, 'h'),
    ...['t', 'a', 'b'].map((each) => textOption(11, each)),
    ...['x=1', 'flag', 'xy=2'].map((each) => textOption(15, each)),
  ];

  test('are read without strings', () => {
    const into = new Uint8Array(16);
    assert.equal(joinPath(options, 1, into), 3);
    assert.equal(Buffer.from(into.subarray(0, 3)).toString(), 'a/b');
    assert.equal(joinPath(options, 0, new Uint8Array(4)), -1);
    assert.equal(joinPath([textOption(11, 'a/b')], 0, into), -2);
    assert.equal(joinPath([], 0, into), 0);
    assert.ok(isSegment(options, 0, textBytes('t')));
    assert.ok(!isSegment(options, 3, textBytes('x')));
    assert.equal(pathSegment(options, 3), undefined);
    assert.deepEqual(queryValue(options, textBytes('x')), textBytes('1'));
    assert.deepEqual(queryValue(options, textBytes('flag')), new Uint8Array(0));
    assert.equal(queryValue(options, textBytes('y')), undefined);
  });

  test('are read as text', () => {
    assert.deepEqual(pathSegments(options), ['t', 'a', 'b']);
    assert.deepEqual(queryArguments(options), ['x=1', 'flag', 'xy=2']);
    assert.equal(pathSegments([{ number: 11, value: Uint8Array.of(0xc0) }]), undefined);
  });

  test('segments that a URI cannot have are found', () => {
    for (const [segment, bad] of [
      ['.', true],
      ['..', true],
      ['...', false],
      ['a.', false],
      ['', false],
      ['.a', false],
    ] as const) {
      assert.equal(hasDotSegment([textOption(11, 'x'), textOption(11, segment)]), bad, segment);
    }
  });
});

test('content formats have a number for each media type and coding', () => {
  for (const { number, mediaType, coding } of contentFormats()) {
    assert.equal(contentFormatNumber(mediaType, coding), number);
    assert.equal(contentFormat(number)!.mediaType, mediaType);
  }
  assert.equal(contentFormatNumber('Application/JSON'), 50);
  assert.equal(contentFormatNumber('text/plain;charset=UTF-8'), 0);
  assert.equal(contentFormatNumber('application/json', 'deflate'), 11_050);
  assert.equal(contentFormatNumber('application/nothing'), undefined);
  assert.equal(contentFormat(9), undefined);
});

test('codes in words', () => {
  assert.deepEqual([0x01, 0x07, 0x45, 0x84, 0xe1, 0x5d, 0x1f].map(codeName), [
    'GET',
    'iPATCH',
    '2.05 content',
    '4.04 not found',
    '7.01 csm',
    '2.29',
    '0.31',
  ]);
});
