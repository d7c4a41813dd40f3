// The arrows of ARCHITECTURE.md as data, and what finds the places that break them. Each answer names what to do instead.

import { dirname, join } from 'node:path/posix';

/** A file by its path from the root of the project, with its text. */
export type SourceFile = { readonly path: string; readonly text: string };

type Room = {
  /** What it may import besides itself: a room (then any file of it), or one file, a room's door. */
  readonly imports: readonly string[];
};

const contracts = {
  store: ['src/store/journal.ts', 'src/store/row.ts'],
  // What of OSCORE the layer in CoAP needs: keys stay in security.
  security: ['src/security/security.ts', 'src/security/oscore/oscore.ts'],
  // What carries EST asks there.
  enrolment: ['src/security/pki/enrolment/enrolment.ts', 'src/security/pki/enrolment/est-door.ts'],
  broker: ['src/broker/port.ts'],
  registry: ['src/registry/registry.ts', 'src/registry/entries.ts'],
  protocols: ['src/protocols/protocol.ts', 'src/protocols/datagram.ts', 'src/protocols/http-exchange.ts'],
};

/** From the bottom up. A room may import only what stands in its line; tests may import anything of `src`. */
export const rooms: Readonly<Record<string, Room>> = {
  'src/base': { imports: [] },
  'src/message': { imports: ['src/base'] },
  'src/registry': { imports: ['src/base', 'src/message'] },
  'src/security': { imports: ['src/base', 'src/message', ...contracts.registry] },
  'src/store': { imports: ['src/base'] },
  'src/broker': { imports: ['src/base', 'src/message', ...contracts.store, ...contracts.security] },
  // A protocol never sees another one: each folder below src/protocols is a room of its own.
  'src/protocols/*': {
    imports: [
      'src/base',
      'src/message',
      ...contracts.broker,
      'src/broker/management.ts',
      ...contracts.security,
      ...contracts.enrolment,
      ...contracts.protocols,
      // What each tells the node of itself, and is given for it; its settings are written in the words of the configuration.
      'src/protocols/protocol-kind.ts',
      'src/protocols/trace.ts',
      'src/protocols/management-desk.ts',
      'src/config/fields.ts',
      // What each does in the same way with its wire.
      'src/protocols/reading-brake.ts',
    ],
  },
  // The contract and the registry.
  'src/protocols': {
    imports: [
      'src/base',
      ...contracts.security,
      ...contracts.enrolment,
      ...contracts.broker,
      'src/broker/management.ts',
      'src/config/fields.ts',
      'src/protocols/*/index.ts',
    ],
  },
  'src/net': { imports: ['src/base', ...contracts.protocols, ...contracts.security] },
  // A peer of the broker, not a part of it: it shares the words of the wire.
  'src/client': { imports: ['src/base', 'src/message', 'src/protocols/*/codec/index.ts'] },
  'src/admin': {
    imports: [
      'src/base',
      'src/message',
      ...contracts.security,
      ...contracts.registry,
      // Files of devices go in and out over the API.
      'src/registry/transfer',
      'src/security/audit/audit.ts',
      'src/security/pki/pki.ts',
      'src/security/pki/ca-management.ts',
      'src/security/pki/enrolment/enrolment.ts',
      'src/broker/management.ts',
    ],
  },
  // Checks access rules at start with the code that will apply them; its sections for protocols come from them.
  'src/config': { imports: ['src/base', 'src/message', 'src/security', 'src/protocols/protocol-kind.ts', 'src/protocols/registry.ts'] },
  'src/node': { imports: ['src'] },
  'src/cli': { imports: ['src'] },
  'src/main': { imports: ['src/cli', 'src/config', 'src/base'] },
};

/** Built-in modules and packages that only some rooms may use, and what the others use instead. */
const reserved: readonly { readonly modules: RegExp; readonly rooms: readonly string[]; readonly instead: string }[] = [
  {
    modules: /^node:(net|tls|dgram|https?|http2)$|^ws$/,
    // admin serves HTTP, client opens connections, pki builds the contexts that net is handed.
    rooms: ['src/net', 'src/admin', 'src/client', 'src/security/pki', 'src/security/audit/syslog-sender.ts'],
    instead: 'sockets belong to src/net; a protocol writes into its Wire (src/protocols/protocol.ts)',
  },
  {
    modules: /^node:sqlite$/,
    // The lock of the data directory is one of SQLite's.
    rooms: ['src/store', 'src/registry/sqlite', 'src/node/data-lock.ts'],
    instead:
      'messages and sessions go through the journal (src/store/journal.ts), who may exist through the registry (src/registry/registry.ts)',
  },
  { modules: /^pg$/, rooms: ['src/registry/postgres'], instead: 'go through the registry (src/registry/registry.ts)' },
  {
    modules: /^node:fs(\/promises)?$/,
    rooms: [
      'src/store',
      'src/registry/sqlite',
      'src/cli',
      'src/node', // the data directory and its lock
      'src/config', // reads the configuration file
      'src/base/private-file.ts', // the one way to write secrets
      'src/security/audit', // the audit log is files
      'src/security/pki', // keys and certificates are files
      'src/security/oscore/sequence-store.ts', // numbers that must outlive a crash
      'src/admin/local-access.ts', // the token for commands on this machine
      'src/admin/process-metrics.ts', // counts open files
      'src/security/users-file.ts',
    ],
    instead: 'files belong to src/store, or are read by src/cli and src/node and handed in',
  },
  {
    modules: /^node:(worker_threads|child_process|cluster)$/,
    rooms: ['src/store/sqlite', 'src/registry/sqlite', 'src/cli', 'src/node'],
    instead: 'threads and processes are started by src/node and by the stores only',
  },
  { modules: /^@peculiar\//, rooms: ['src/security/pki'], instead: 'certificates are made by src/security/pki' },
  { modules: /^jose$/, rooms: ['src/security/authentication'], instead: 'tokens are checked by src/security/authentication' },
  { modules: /^pino$/, rooms: ['src/cli'], instead: 'log through the Log that is handed in (src/base/log.ts)' },
  { modules: /^commander$/, rooms: ['src/cli', 'src/main'], instead: 'the command line is read in src/cli' },
  { modules: /^yaml$/, rooms: ['src/config'], instead: 'configuration is read and checked by src/config' },
  {
    modules: /^typebox(\/|$)/,
    rooms: ['src/config', 'src/admin/api'],
    instead: 'configuration is checked by src/config, requests by src/admin/api',
  },
  { modules: /^(@fastify\/|fastify$)/, rooms: ['src/admin/api'], instead: 'management is served by src/admin/api' },
];

/** What pure rooms may not do by themselves. */
const impure: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  { pattern: /\b(Date\.now|performance\.now|new Date\(\))/, instead: 'take the time from the Clock that is handed in (src/base/clock.ts)' },
  { pattern: /\b(setTimeout|setInterval|setImmediate)\b/, instead: 'use the Timers that are handed in (src/base/timers.ts)' },
  { pattern: /\b(queueMicrotask|process\.nextTick)\b/, instead: 'work at the end of a turn is driven from outside (src/broker/turn.ts)' },
  {
    pattern: /\b(Math\.random|randomUUID|getRandomValues|node:crypto)\b/,
    instead: 'take randomness from the Random that is handed in (src/base/random.ts)',
  },
  { pattern: /\bprocess\.(env|exit|argv|cwd)\b/, instead: 'settings are handed in from src/config.ts' },
];
const pureRooms = ['src/broker', 'src/protocols', 'src/message'];

const badNames = /(^|[-./])(utils?|helpers?|common|misc)([-./]|$)/;

/** What breaks the rules, a line each: where, what, and what to do instead. */
export function violations(files: readonly SourceFile[]): string[] {
  const found: string[] = [];
  for (const file of files) {
    if (badNames.test(file.path)) found.push(`${file.path}: a file is named after the one thing it holds, not utils, helpers or common`);
    if (!file.path.startsWith('src/') || isForTests(file.path)) continue;
    const room = roomOf(file.path);
    if (room === undefined) {
      found.push(`${file.path}: is in no room that tools/architecture.ts knows; put it in one, or add the room and its arrows there`);
      continue;
    }
    const code = withoutComments(file.text);
    for (const specifier of importsOf(code)) {
      const problem = specifier.startsWith('.') ? arrowProblem(file.path, room, specifier) : reservedProblem(file.path, specifier);
      if (problem !== undefined) found.push(`${file.path}: imports '${specifier}': ${problem}`);
    }
    if (pureRooms.some((pure) => isIn(file.path, pure))) found.push(...impurities(file.path, code));
  }
  return found;
}

function arrowProblem(path: string, room: string, specifier: string): string | undefined {
  const target = join(dirname(path), specifier);
  if (!target.startsWith('src/')) return 'the product never imports from outside src';
  if (isForTests(target)) return 'the product never imports what is for tests';
  if (roomOf(target) === room && sameProtocol(path, target)) return undefined;
  const allowed = rooms[room]!.imports;
  if (allowed.some((entry) => matchesEntry(target, entry))) return undefined;
  return `${room} may import ${allowed.length === 0 ? 'nothing outside itself' : `only ${allowed.join(', ')}`} (ARCHITECTURE.md, the arrows)`;
}

function reservedProblem(path: string, specifier: string): string | undefined {
  for (const { modules, rooms: allowed, instead } of reserved) {
    if (modules.test(specifier) && !allowed.some((room) => isIn(path, room))) return instead;
  }
  return undefined;
}

function impurities(path: string, code: string): string[] {
  const found: string[] = [];
  for (const [i, line] of code.split('\n').entries()) {
    for (const { pattern, instead } of impure) {
      const match = pattern.exec(line);
      if (match) found.push(`${path}:${i + 1}: ${match[0]}: ${instead}`);
    }
  }
  return found;
}

/** Tests beside the code, and the stand-ins they share in folders called `testing`. */
function isForTests(path: string): boolean {
  return path.endsWith('.test.ts') || path.includes('/testing/');
}

/** The room a file is in: `src/config` holds src/config.ts and src/config/**. */
function roomOf(path: string): string | undefined {
  if (/^src\/protocols\/[^/]+\//.test(path)) return 'src/protocols/*';
  return Object.keys(rooms).find((room) => isIn(path, room));
}

function sameProtocol(path: string, target: string): boolean {
  return roomOf(path) !== 'src/protocols/*' || path.split('/')[2] === target.split('/')[2];
}

function isIn(path: string, roomOrFile: string): boolean {
  return path === roomOrFile || path === `${roomOrFile}.ts` || path.startsWith(`${roomOrFile}/`);
}

function matchesEntry(target: string, entry: string): boolean {
  if (!entry.includes('*')) return isIn(target, entry);
  const [before = '', after = ''] = entry.split('*');
  return target.startsWith(before) && target.endsWith(after) && !target.slice(before.length, target.length - after.length).includes('/');
}

/** The module names that a text imports, statically, dynamically or by re-export. */
export function importsOf(code: string): string[] {
  const found: string[] = [];
  const patterns = [/\b(?:import|export)\b[\s\w{},*$]*?\bfrom\s*['"]([^'"]+)['"]/g, /\bimport\s*\(?\s*['"]([^'"]+)['"]/g];
  for (const pattern of patterns) for (const match of code.matchAll(pattern)) found.push(match[1]!);
  return found;
}

/** The text with comments blanked out, line numbers kept. A `//` right after a colon is taken for an address in a string. */
export function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' ')).replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}
