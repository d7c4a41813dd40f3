import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AmqpFault, type AmqpValue, symbolValue } from './codec/index.ts';
import { noFilters, readFilters, type SourceFilters } from './filters.ts';

const string = (value: string): AmqpValue => ({ type: 'string', value });
const described = (descriptor: bigint | string, value: AmqpValue): AmqpValue => ({
  type: 'described',
  descriptor: typeof descriptor === 'bigint' ? { type: 'ulong', value: descriptor } : symbolValue(descriptor),
  value,
});

function read(entries: Record<string, AmqpValue>): SourceFilters {
  const filters = readFilters(new Map(Object.entries(entries)));
  assert.ok(!(filters instanceof AmqpFault));
  return filters;
}

test('a selector is one under whatever name clients send it', () => {
  const text = "colour = 'red'";
  const byClient: Record<string, Record<string, AmqpValue>> = {
    'Qpid JMS and rhea': { 'jms-selector': described(0x0000_468c_0000_0004n, string(text)) },
    Proton: { selector: described('apache.org:selector-filter:string', string(text)) },
    'go-amqp': { 'apache.org:selector-filter:string': described(0x0000_468c_0000_0004n, string(text)) },
    'a client that does not describe it': { 'apache.org:selector-filter:string': string(text) },
  };
  for (const [client, entries] of Object.entries(byClient)) {
    const filters = read(entries);
    assert.equal(filters.selector, text, client);
    assert.deepEqual([...filters.honoured!], Object.entries(entries), client);
  }
});

test('no-local is one by its descriptor', () => {
  assert.equal(read({ 'no-local': described(0x0000_468c_0000_0003n, string('NoLocalFilter{}')) }).noLocal, true);
  assert.equal(read({ x: described('apache.org:no-local-filter:list', { type: 'list', value: [] }) }).noLocal, true);
});

test('last values are asked for by a word', () => {
  const mode = (value: AmqpValue) => read({ 'heliograph:retained': value }).retained;
  assert.equal(mode({ type: 'boolean', value: true }), 'only');
  assert.equal(mode({ type: 'boolean', value: false }), 'never');
  assert.equal(mode(string('first')), 'first');
  assert.equal(mode(symbolValue('only')), 'only');
  assert.equal(mode(described('heliograph:retained', string('never'))), 'never');
});

test('what is not known is not honoured', () => {
  const filters = read({ 'com.example:filter': string('x'), other: described(77n, string('x')), 'jms-selector': string('no descriptor') });
  assert.deepEqual(filters, { ...noFilters, honoured: undefined });
  assert.equal(readFilters(undefined), noFilters);
  assert.equal(readFilters(new Map()), noFilters);
});

test('what is known and cannot be read is refused', () => {
  for (const [key, value] of [
    ['apache.org:selector-filter:string', { type: 'uint', value: 1 }],
    ['heliograph:retained', string('sometimes')],
    ['heliograph:retained', { type: 'uint', value: 1 }],
  ] as const) {
    const fault = readFilters(new Map([[key, value]]));
    assert.ok(fault instanceof AmqpFault);
    assert.equal(fault.condition, 'amqp:invalid-field');
  }
});
