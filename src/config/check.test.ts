import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Value } from 'typebox/value';
import { stringify } from 'yaml';
import { ConfigError, defaultConfig, formatProblem, parseConfig } from '../config.ts';
import { checkYaml } from './check.ts';
import { defaultsAsYaml } from './defaults-as-yaml.ts';
import { configSchema, schemaTree } from './schema.ts';
import type { SchemaNode } from './schema-node.ts';

/** The mistakes of a file as the user sees them, without the file's name. */
function mistakes(source: string): string[] {
  try {
    parseConfig('h.yaml', source);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map((problem) => formatProblem(problem).replace('h.yaml:', ''));
  }
  return [];
}

const cases: readonly (readonly [string, string, readonly (string | RegExp)[]])[] = [
  [
    'a word for a number',
    'listeners:\n  mqtt:\n    port: "abc"\n',
    [
      '3:11: listeners.mqtt.port: must be a whole number from 0 to 65535, but is "abc". Fix: correct the value, or remove the line for the default of 1883.',
    ],
  ],
  ['a number in quotes', 'listeners: {mqtt: {port: "1884"}}', [/^1:26: .*but is "1884"\. Fix: remove the quotes\.$/]],
  ['a number above its bound', 'listeners:\n  mqtt:\n    port: 70000', [/^3:11: listeners\.mqtt\.port: .*\. Fix: use 65535 or less\.$/]],
  ['a number below its bound', 'mqtt: {receiveMaximum: 0}', [/^1:24: mqtt\.receiveMaximum: .*\. Fix: use 1 or more\.$/]],
  ['a fraction', 'mqtt: {receiveMaximum: 1.5}', [/must be a whole number from 1 to 65535, but is 1\.5/]],
  [
    'a span of an unknown unit',
    'mqtt: {connectTimeoutMs: 5 weeks}',
    [/must be a number of milliseconds .* or a span such as "30s", but is "5 weeks"/],
  ],
  ['a size for a span', 'mqtt: {connectTimeoutMs: 5MiB}', [/^1:26: mqtt\.connectTimeoutMs: /]],
  [
    'a size above its bound',
    'mqtt: {maxPacketBytes: 1GiB}',
    [/^1:24: mqtt\.maxPacketBytes: must be a number of bytes from 128 to 268435460/],
  ],
  ['an unknown section', 'listners: {}\n', ['1:1: listners: there is no such setting. Fix: did you mean "listeners"? Rename it.']],
  ['an unknown setting', '\nnode:\n  nmae: x\n', ['3:3: node.nmae: there is no such setting. Fix: did you mean "name"? Rename it.']],
  ['a forgotten unit', 'node: {shutdownTimeout: 1}', [/did you mean "shutdownTimeoutMs"\?/]],
  [
    'a setting in the wrong section',
    'maxPacketBytes: 1MiB\n',
    ['1:1: maxPacketBytes: there is no such setting. Fix: write it as mqtt.maxPacketBytes.'],
  ],
  ['a setting like no other', 'node: {zebra: 1}', [/there is no such setting\. Fix: remove it; the settings here are name, dataDir/]],
  [
    'a word of a choice',
    'log:\n  level: wran\n',
    [/^2:10: log\.level: must be one of debug, .*but is "wran"\. Fix: did you mean "warn"\?/],
  ],
  [
    'a word for true',
    'listeners: {mqtt: {enabled: "yes"}}',
    [/must be true or false, but is "yes"\. Fix: write true or false without quotes/],
  ],
  ['a number for text', 'node: {dataDir: 5}', [/but is 5\. Fix: put it in quotes: "5"/]],
  ['text of the wrong shape', 'node: {name: "Mein Haus"}', [/must be lower-case letters, digits and hyphens, but is "Mein Haus"/]],
  ['an empty value', 'node:\n  name:\n', [/^2:\d+: node\.name: must be .*, but is empty/]],
  ['a scalar for a section', 'mqtt: 5', [/^1:7: mqtt: must be a mapping \(.*\), but is 5/]],
  ['a list for a section', 'mqtt: [1]', [/but is a list/]],
  ['a mapping for a value', 'node: {name: {a: 1}}', [/but is a mapping/]],
  ['a mapping for a list', 'tls: {certificates: {a: 1}}', [/^1:21: tls\.certificates: must be a list, but is a mapping/]],
  [
    'a mistake within a list',
    'tls:\n  certificates:\n    - certificateFile: a\n      privateKeyFile: []\n',
    [/^4:23: tls\.certificates\.0\.privateKeyFile: /],
  ],
  [
    'a missing setting',
    'listeners:\n  extra:\n    kind: tcp\n',
    [/^2:3: listeners\.extra\.port: is missing\. Fix: add "port: …": a whole number/],
  ],
  ['a bad name of a listener', 'listeners:\n  Extra: {kind: tcp, port: 1}\n', [/^2:3: listeners\.Extra: the name must be lower-case/]],
  ['a whole file that is no mapping', '- a\n', [/^1:1: must be a mapping/]],
  ['broken YAML', 'node: {\n  name: [\n', [/^\d+:\d+: /, /^\d+:\d+: /]],
  ['the same key twice', 'node: {}\nnode: {}\n', [/^2:1: Map keys must be unique\. Fix: keep one of the two\.$/]],
  ['two documents', 'node: {}\n---\nnode: {}\n', [/^2:1: the file holds more than one YAML document/]],
  ['an unknown tag', 'node: {name: !secret x}', [/^1:14: Unresolved tag/]],
  [
    'plaintext off loopback',
    'listeners:\n  mqtt:\n    host: 0.0.0.0\n',
    [/^3:11: listeners\.mqtt\.host: a listener of kind tcp on 0\.0\.0\.0 lets passwords .*use kind tls, .*allowPlaintext: true\.$/],
  ],
  ['one port twice', 'listeners: {ws: {port: 1883}}', [/^1:24: listeners\.ws\.port: listener mqtt already uses 127\.0\.0\.1 port 1883/]],
  ['a path where none is used', 'listeners: {mqtt: {paths: [/mqtt]}}', [/listener of kind tcp has no paths/]],
  ['certificates without TLS', 'listeners: {mqtt: {clientCertificate: require}}', [/listener of kind tcp has no certificates/]],
  [
    'limits out of order',
    'mqtt:\n  maxPacketBytes: 1000\n',
    [/mqtt\.maxConnectPacketBytes: .*is above mqtt\.maxPacketBytes, which is 1000: .*lower it, or raise/],
  ],
  ['no power of two', 'mqtt: {topicCacheEntries: 65}', [/must be a power of two, but is 65\. Fix: use 64\.$/]],
];

for (const [name, source, expected] of cases) {
  test(`a mistake is told with its line: ${name}`, () => {
    const told = mistakes(source);
    assert.equal(told.length, expected.length, told.join('\n'));
    for (const [i, pattern] of expected.entries()) {
      if (typeof pattern === 'string') assert.equal(told[i], pattern);
      else assert.match(told[i]!, pattern);
    }
  });
}

test('all mistakes are told at once, in the order of the file', () => {
  const told = mistakes('log: {level: x}\nnode:\n  name: 5\n  foo: 1\nmqtt: {maxQos: 3}\n');
  assert.deepEqual(
    told.map((line) => line.split(':').slice(0, 3).join(':')),
    ['1:14: log.level', '3:9: node.name', '4:3: node.foo', '5:16: mqtt.maxQos'],
  );
});

test('an empty file, a comment alone and empty sections give the defaults', () => {
  for (const source of ['', '# nothing\n', '---\n', 'node:\nlisteners:\n  mqtt:\ntls: {}\n']) {
    assert.deepEqual(parseConfig('h.yaml', source), defaultConfig());
  }
});

test('the defaults stand in their schema', () => {
  assert.deepEqual([...Value.Errors(configSchema, defaultConfig())], []);
});

test('the printed defaults pass the check and are the defaults', () => {
  assert.deepEqual(parseConfig('defaults', defaultsAsYaml()), defaultConfig());
});

test('every printed comment line of a setting without default is a correct line as well', () => {
  for (const optional of defaultsAsYaml().matchAll(/^ *# (clientCaFile): .*$/gm)) {
    assert.equal(checkYaml('x', `tls:\n  ${optional[0].replace(/^ *# /, '')}\n`, schemaTree).value === undefined, false);
  }
});

test('sizes and spans may have units', () => {
  const config = parseConfig(
    'h.yaml',
    'mqtt: {maxPacketBytes: 2MiB, connectTimeoutMs: 1.5s, maxKeepAliveSec: 10min}\nbroker: {maxSessionExpirySec: 30d}',
  );
  assert.equal(config.mqtt.maxPacketBytes, 2 * 1024 * 1024);
  assert.equal(config.mqtt.connectTimeoutMs, 1500);
  assert.equal(config.mqtt.maxKeepAliveSec, 600);
  assert.equal(config.broker.maxSessionExpirySec, 30 * 86_400);
});

test('a file changes only what it names, also within a default listener', () => {
  const config = parseConfig('h.yaml', 'listeners: {mqtts: {port: 9999}, second: {kind: tls, port: 9998}}');
  assert.deepEqual(config.listeners['mqtts'], { ...defaultConfig().listeners['mqtts'], port: 9999 });
  assert.deepEqual(config.listeners['second'], {
    kind: 'tls',
    enabled: true,
    devOnly: false,
    host: '127.0.0.1',
    port: 9998,
    allowPlaintext: false,
    psk: false,
  });
  assert.deepEqual(config.listeners['wss'], defaultConfig().listeners['wss']);
});

test('anchors and aliases are followed, also for positions', () => {
  const config = parseConfig('h.yaml', 'mqtt: {maxPacketBytes: &size 1MiB, maxOutputBytes: *size}\n');
  assert.equal(config.mqtt.maxOutputBytes, 1024 * 1024);
  assert.match(mistakes('node: &loop\n  name: *loop\n')[0]!, /node\.name: must be/);
});

test('a choice that looks like a number may be written as one', () => {
  assert.equal(parseConfig('h.yaml', 'tls: {minVersion: 1.3}').tls.minVersion, '1.3');
});

test('plaintext off loopback is possible when it is asked for', () => {
  const config = parseConfig('h.yaml', 'listeners: {mqtt: {host: "::", allowPlaintext: true}}');
  assert.equal(config.listeners['mqtt']?.host, '::');
});

test('a listener that hears only what OSCORE protects may be anywhere', () => {
  const listener = (methods: string): string => `listeners: {radio: {kind: coap, host: "::", port: 5683, authentication: [${methods}]}}`;
  assert.deepEqual(mistakes(listener('oscore')), []);
  assert.match(mistakes(listener('oscore, anonymous'))[0]!, /listeners\.radio\.host/);
});

test('groups are joined on one interface, by what is on UDP, and have to be groups', () => {
  const listener = (kind: string, host: string, groups: string): string =>
    `listeners: {radio: {kind: ${kind}, host: "${host}", port: 5690, allowPlaintext: true, multicastGroups: [${groups}]}}`;
  assert.deepEqual(mistakes(listener('coap', '192.0.2.1', '224.0.1.187')), []);
  assert.match(mistakes(listener('coap', '::', '"ff05::fd"'))[0]!, /listeners\.radio\.host: .*cannot be on every interface/);
  assert.match(mistakes(listener('coap', '192.0.2.1', '192.0.2.9'))[0]!, /192\.0\.2\.9 is no group that 192\.0\.2\.1 can join/);
  assert.match(mistakes(listener('coap', '192.0.2.1', '"ff05::fd"'))[0]!, /is no group that/);
  assert.match(mistakes(listener('tcp', '192.0.2.1', '224.0.1.187'))[0]!, /a listener of kind tcp has no groups/);
});

test('every setting has a description, and every number its bounds', () => {
  const lacking: string[] = [];
  walk(schemaTree, '', (path, node) => {
    if (node.description === undefined || node.description === '') lacking.push(`${path}: description`);
    if (node.type === 'integer' && (node.minimum === undefined || node.maximum === undefined)) lacking.push(`${path}: bounds`);
    if (node.type === 'integer' && node.unit === 'ms' && !path.endsWith('Ms')) lacking.push(`${path}: unit in the name`);
    if (node.type === 'integer' && node.unit === 'sec' && !path.endsWith('Sec')) lacking.push(`${path}: unit in the name`);
    if (node.type === 'integer' && node.unit === 'bytes' && !path.endsWith('Bytes')) lacking.push(`${path}: unit in the name`);
  });
  assert.deepEqual(lacking, []);
});

function walk(node: SchemaNode, path: string, visit: (path: string, node: SchemaNode) => void): void {
  if (path !== '') visit(path, node);
  for (const [key, sub] of Object.entries(node.properties ?? {})) walk(sub, `${path}.${key}`, visit);
  for (const sub of Object.values(node.patternProperties ?? {})) walk(sub, `${path}.*`, visit);
  if (node.items !== undefined) walk(node.items, `${path}[]`, visit);
}

// typebox is the oracle: what our checker lets through satisfies the schema, and complete data that the schema refuses is refused.
test('the check agrees with typebox on arbitrary changes of one setting', () => {
  const paths: string[][] = [];
  collect(defaultConfig(), []);
  const odd = fc.oneof(
    fc.integer({ min: -10, max: 100_000 }),
    fc.constantFrom('', 'tcp', 'none', '1.2', 'info', 'x y', '/a'),
    fc.boolean(),
    fc.constant([]),
    fc.constant({ a: 1 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...paths), odd, (path, value) => {
      const data = structuredClone(defaultConfig()) as unknown as Record<string, unknown>;
      let at = data;
      for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
      at[path.at(-1)!] = value;
      const checked = checkYaml('h.yaml', stringify(data), schemaTree);
      assert.equal(checked.problems.length === 0, Value.Check(configSchema, data), `${path.join('.')} = ${JSON.stringify(value)}`);
    }),
    { numRuns: 300 },
  );

  function collect(value: unknown, path: string[]): void {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) paths.push(path);
    else for (const [key, sub] of Object.entries(value)) collect(sub, [...path, key]);
  }
});
