// Writes the fixture of the registry's schema: what this version leaves in SQLite and in PostgreSQL, as SQL, and the entries that
// are in it. A later version must read it for ever, so a fixture is written once, by the version that brought the schema, and
// never again.
//
//   node tools/registry-fixture.ts

import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { ManualClock } from '../src/base/clock.ts';
import type { Entry, Kind } from '../src/registry/entries.ts';
import { kinds, systemScope } from '../src/registry/entries.ts';
import { PostgresRegistry } from '../src/registry/postgres/postgres-registry.ts';
import type { Registry, Result, Write } from '../src/registry/registry.ts';
import { migrations } from '../src/registry/sqlite/migrations.ts';
import { SqliteRegistry } from '../src/registry/sqlite/sqlite-registry.ts';
import { postgresBinaries } from '../test/postgres/binaries.ts';
import { PostgresServer } from '../test/postgres/server.ts';

const target = join(import.meta.dirname, '..', 'test', 'fixtures', `registry-schema-${migrations.length}`);
const owner = { kind: 'device', id: 'pump-ä' } as const;
const principal = { labels: { site: 'Zürich', floor: '3' }, groups: ['pumps', 'north'], roles: ['device'] };
const certificate = { owner, issuer: 'ca'.repeat(32), subject: 'CN=pump-ä', notBeforeMs: 1_600_000_000_000, notAfterMs: 1_900_000_000_000 };
const authority = {
  certificate: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
  subject: 'CN=authority',
  notBeforeMs: 1_600_000_000_000,
  notAfterMs: 1_900_000_000_000,
};
const enrolment = { expiresAtMs: 1_900_000_000_000, devicePattern: 'pump-*' };
const approval = {
  requestedBy: 'acme/ann',
  summary: 'rotate the authority',
  request: '{"what":"rotate"}',
  expiresAtMs: 1_900_000_000_000,
};
const writes: readonly Write[] = [
  {
    do: 'create',
    kind: 'tenant',
    tenant: systemScope,
    id: 'acme',
    fields: { title: 'Acme & Söhne', quotas: { connections: 100 }, principalQuotas: { queueBytes: 1_000_000 } },
  },
  { do: 'create', kind: 'policy', tenant: 'acme', id: 'read', fields: { document: '{"statements": ["it\'s"]}' } },
  { do: 'create', kind: 'role', tenant: 'acme', id: 'reader', fields: { policies: ['read'], quotas: { messagesPerSecond: 0 } } },
  { do: 'create', kind: 'device', tenant: 'acme', id: 'pump-ä', fields: principal },
  { do: 'create', kind: 'device', tenant: 'main', id: 'pump-ä', fields: { status: 'disabled' } },
  { do: 'create', kind: 'application', tenant: 'acme', id: 'billing', fields: principal },
  { do: 'create', kind: 'user', tenant: systemScope, id: 'root', fields: { title: "O'Neill", roles: ['admin'] } },
  { do: 'create', kind: 'credential', tenant: 'acme', id: 'c1', fields: { owner, type: 'password', secret: '$argon2id$v=19$x' } },
  {
    do: 'create',
    kind: 'credential',
    tenant: 'acme',
    id: 'c2',
    fields: { owner, type: 'token', secret: 'x', expiresAtMs: 1_900_000_000_000 },
  },
  {
    do: 'create',
    kind: 'credential',
    tenant: 'acme',
    id: 'c3',
    fields: { owner: { kind: 'application', id: 'billing' }, type: 'raw-public-key', secret: 'MFk=', handle: 'rpk/0a' },
  },
  { do: 'create', kind: 'certificate', tenant: 'acme', id: '01'.repeat(32), fields: { ...certificate, serial: '1f' } },
  {
    do: 'create',
    kind: 'certificate',
    tenant: 'acme',
    id: '02'.repeat(32),
    fields: { ...certificate, serial: '20', status: 'revoked', reason: 'keyCompromise' },
  },
  { do: 'create', kind: 'authority', tenant: systemScope, id: 'ca'.repeat(32), fields: { ...authority, role: 'root', status: 'active' } },
  {
    do: 'create',
    kind: 'authority',
    tenant: 'acme',
    id: 'cb'.repeat(32),
    fields: {
      ...authority,
      role: 'foreign',
      issuer: 'ca'.repeat(32),
      registration: 'just-in-time',
      groups: ['pumps'],
      roles: ['device'],
      crlUrls: ['http://crl.example/a'],
      ocspUrls: ['http://ocsp.example/'],
    },
  },
  {
    do: 'create',
    kind: 'enrolment',
    tenant: 'acme',
    id: 'batch-1',
    fields: { ...enrolment, tokenHash: '03'.repeat(32), maxUses: 5, uses: 2 },
  },
  {
    do: 'create',
    kind: 'enrolment',
    tenant: 'main',
    id: 'batch-1',
    fields: { ...enrolment, tokenHash: '04'.repeat(32), newDevices: { groups: ['north'], roles: [] } },
  },
  { do: 'create', kind: 'approval', tenant: systemScope, id: 'a1', fields: approval },
  {
    do: 'create',
    kind: 'approval',
    tenant: systemScope,
    id: 'a2',
    fields: { ...approval, status: 'approved', decidedBy: 'acme/bob' },
  },
];

function good<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

async function fill(registry: Registry): Promise<Entry<Kind>[]> {
  good(await registry.apply(writes, { atomic: true }));
  const entries: Entry<Kind>[] = [];
  for (const kind of kinds)
    for (const tenant of [systemScope, 'acme', 'main']) entries.push(...good(await registry.list(kind, tenant, {})).entries);
  await registry.close();
  return entries;
}

function dump(path: string): string {
  const db = new DatabaseSync(path);
  const tables = db.prepare(`SELECT name, type, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name`).all();
  const lines = tables.map(({ sql }) => `${String(sql)};`);
  for (const { name, type } of tables) {
    if (type !== 'table') continue;
    for (const row of db.prepare(`SELECT * FROM ${String(name)}`).all())
      lines.push(`INSERT INTO ${String(name)} VALUES (${Object.values(row).map(literal).join(', ')});`);
  }
  lines.push(`PRAGMA application_id = ${String(db.prepare('PRAGMA application_id').get()?.['application_id'])};`);
  db.close();
  return `${lines.join('\n')}\n`;
}

function literal(stored: SQLOutputValue): string {
  if (stored === null) return 'NULL';
  if (stored instanceof Uint8Array) return `X'${Buffer.from(stored).toString('hex')}'`;
  return typeof stored === 'string' ? `'${stored.replaceAll("'", "''")}'` : String(stored);
}

if (fs.existsSync(target)) throw new Error(`${target} exists: a fixture is never written again`);
const clock = new ManualClock();
const directory = fs.mkdtempSync(join(tmpdir(), 'heliograph-fixture-'));
const path = join(directory, 'registry.db');
const entries = await fill(good(SqliteRegistry.open({ path, clock, thread: false })));
const sqlite = dump(path);
fs.rmSync(directory, { recursive: true });

const binaries = postgresBinaries();
if (binaries === undefined) throw new Error('a fixture is written for both stores');
const server = await PostgresServer.start(binaries);
const schema = 'heliograph';
await fill(good(await PostgresRegistry.open({ connection: { url: server.url(), schema, connections: 1 }, clock })));
const args = ['--inserts', '--no-owner', '--no-privileges', '--no-comments', `--schema=${schema}`, '--dbname', server.url()];
const said = execFileSync(join(binaries, 'pg_dump'), args, { encoding: 'utf8' });
await server.remove();
// Statements alone: comments name versions, and psql's own commands mean nothing to others.
const postgres = said
  .split('\n')
  .filter((line) => line !== '' && !/^--(\s|$)/.test(line) && !line.startsWith('\\') && !line.startsWith('SET '));

fs.mkdirSync(target, { recursive: true });
fs.writeFileSync(join(target, 'sqlite.sql'), sqlite);
fs.writeFileSync(join(target, 'postgres.sql'), `${postgres.join('\n')}\n`);
fs.writeFileSync(join(target, 'holds.json'), `${JSON.stringify(entries, undefined, 2)}\n`);
