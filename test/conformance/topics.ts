// Topic names and filters (4.7).

import { conforms } from './conforms.ts';

import type { Harness } from '../harness/harness.ts';

/** The filter is refused in SUBACK, or the connection closed. */
function expectFilterRefused(h: Harness, filter: string): void {
  const c = h.connect('c').send({ type: 'subscribe', id: 1, subscriptions: [{ filter }] });
  if (c.closed) c.expectClosed([0x81, 0x82, 0x8f]);
  else c.expect('suback', { reasons: (r) => r!.length === 1 && r![0]! >= 0x80 });
}

conforms({ v4: '4.7.1-2', v5: '4.7.1-1' }, 'the multi-level wildcard stands alone in the last level', (h) => {
  for (const filter of ['a#', 'a/#/b', '#/a', 'a/b#', '##', 'a/#/']) expectFilterRefused(h, filter);
  for (const filter of ['#', 'a/#', '/#', 'a/b/#']) h.connect('c').subscribe(filter);
});

conforms({ v4: '4.7.1-3', v5: '4.7.1-2' }, 'the single-level wildcard fills its level', (h) => {
  for (const filter of ['a+', '+a', 'a/b+', 'a/+b/c', '++', 'a/++']) expectFilterRefused(h, filter);
  for (const filter of ['+', 'a/+', '+/a', '+/+', '/+', '+/', 'a/+/b', '+/#']) h.connect('c').subscribe(filter);
});

conforms({ v4: '3.3.2-3 4.7.1-2 4.7.1-3', v5: '3.3.2-3 4.7.1-1 4.7.1-2' }, 'what filters match', (h) => {
  const cases: [string, string[], string[]][] = [
    ['a/#', ['a', 'a/', 'a/b', 'a/b/c'], ['b', 'ab', '/a']],
    ['+', ['a', ''.padStart(3, 'x')], ['a/b', '/', '/a']],
    ['+/+', ['a/b', '/b', '/', 'a/'], ['a', 'a/b/c']],
    ['/+', ['/a', '/'], ['a', 'a/b']],
    ['a/+/c', ['a/b/c', 'a//c'], ['a/c', 'a/b/c/d']],
    ['#', ['a', 'a/b', '/', '//'], []],
    ['a//b', ['a//b'], ['a/b', 'a/x/b']],
    ['a/ /b', ['a/ /b'], ['a//b']],
    ['+/b/#', ['a/b', 'a/b/', '/b/x'], ['b', 'a/c/b']],
  ];
  for (const [filter, yes, no] of cases) {
    const c = h.connect('c').subscribe(filter);
    for (const topic of [...yes, ...no]) h.publish(topic, 'x');
    for (const topic of yes) c.expect('publish', { topic });
    c.expectNothing();
  }
});

conforms({ v4: '4.7.2-1', v5: '4.7.2-1' }, 'filters that begin with a wildcard do not match topics that begin with $', (h) => {
  const c = h.connect('c').subscribe('#').subscribe('+/x').subscribe('+/#');
  const d = h.connect('d').subscribe('$own/#').subscribe('$own/+');
  h.publish('$own/x', 'hidden');
  c.expectNothing();
  d.expect('publish', { topic: '$own/x' });
});

conforms({ v4: '4.7.2-1', v5: '4.7.2-1' }, 'the same for retained messages', (h) => {
  h.publish('$own/x', 'hidden', 1, true);
  h.publish('y/x', 'seen', 1, true);
  h.connect('c').subscribe('#').expect('publish', { topic: 'y/x' }).expectNothing();
  h.connect('d').subscribe('+/x').expect('publish', { topic: 'y/x' }).expectNothing();
  h.connect('e').subscribe('$own/+').expect('publish', { topic: '$own/x' }).expectNothing();
});

conforms({ v4: '4.7.3-1', v5: '4.7.3-1' }, 'topics and filters of no characters are refused', (h) => {
  h.connect('c').send({ type: 'publish', topic: '', payload: 'x' }).expectClosed([0x81, 0x82, 0x90]);
  expectFilterRefused(h, '');
});

conforms({ v4: '4.7.3-3', v5: '4.7.3-3' }, 'topics may be 65,535 bytes long', (h) => {
  const topic = 'x'.repeat(65_535);
  h.connect('c').subscribe(topic).publish(topic, 'long').expect('publish', { topic, payload: 'long' });
});

conforms({ v4: '4.7.3-4', v5: '4.7.3-4' }, 'nothing is normalised when matching', (h) => {
  const c = h.connect('c').subscribe('\u00e9').subscribe('ACCOUNTS').subscribe('a/./b');
  for (const topic of ['e\u0301', 'Accounts', 'a/b', 'a/../a/b', 'ACCOUNTS ', '\u00c9']) h.publish(topic, 'x');
  c.expectNothing();
  for (const topic of ['\u00e9', 'ACCOUNTS', 'a/./b']) h.publish(topic, 'x');
  for (const topic of ['\u00e9', 'ACCOUNTS', 'a/./b']) c.expect('publish', { topic });
});
