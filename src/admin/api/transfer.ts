// Many devices at once: into the registry from a file, and out of it into one. What goes on is told while it goes on.

import { Type } from 'typebox';
import type { Registry, Write } from '../../registry/registry.ts';
import { refusal } from '../../registry/registry.ts';
import { exportDevices } from '../../registry/transfer/export-devices.ts';
import { importDevices, type FileFormat, type ImportOutcome } from '../../registry/transfer/import-devices.ts';
import { changeForbidden, grantForbidden, type Facts } from './grants.ts';
import { route, type Answer, type Call, type RouteSpec } from './route.ts';
import { choice, object } from './schemas.ts';

const formats: Readonly<Record<FileFormat, string>> = { csv: 'text/csv', jsonl: 'application/x-ndjson' };

const format = Type.Optional(choice(['csv', 'jsonl'], 'CSV with a header, or a JSON object a line, which is the default.'));

const bringIn = route({
  method: 'POST',
  path: '/devices:import',
  operation: 'importDevices',
  summary: 'Add devices from a file',
  description:
    'The answer is a JSON object a line, while the file is read: {"refused": {line, id, why}} for each row that is refused, {"progress": {bytes, rows, accepted, refused}} now and then, and {"done": {bytes, rows, accepted, refused, error?}} at the end.',
  permission: 'devices:write',
  scope: 'tenant',
  query: object({
    format,
    existing: Type.Optional(choice(['refuse', 'change'], 'A device that is there: refuse its row, which is the default, or change it.')),
  }),
  takes: Object.values(formats),
  gives: 'application/x-ndjson',
  answers: { 200: { description: 'What became of it.', schema: Type.String() } },
  audit: { action: 'device.import', target: (_input, tenant) => `device/${tenant}`, byCallee: true },
  handle({ query, file }, call): Answer {
    const { format: given = 'jsonl', existing = 'refuse' } = query;
    return { status: 200, stream: imported(file!, { format: given, existing }, call) };
  },
});

type Wanted = { readonly format: FileFormat; readonly existing: 'refuse' | 'change' };

/** Progress is told at most once in so many rows. */
const progressRows = 10_000;
const maxWaitingLines = 1000;

async function* imported(file: AsyncIterable<Uint8Array>, wanted: Wanted, call: Call): AsyncGenerator<string> {
  const waiting: string[] = [];
  let wake = (): void => {};
  let toldRows = 0;
  const tell = (line: object): void => {
    if (isLeft) return;
    waiting.push(`${JSON.stringify(line)}\n`);
    wake();
  };
  let outcome: ImportOutcome | undefined;
  let drained = (): void => {};
  let isLeft = false;
  // Who does not read what is told does not get to send more: refused rows must not fill the memory.
  const paced = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of file) {
      while (waiting.length > maxWaitingLines && !isLeft) await new Promise<void>((resolve) => (drained = resolve));
      yield piece;
    }
  };
  const running = importDevices(guarded(call), paced(), {
    ...wanted,
    tenant: call.tenant,
    refused: (refused) => tell({ refused }),
    progress(progress) {
      if (progress.rows - toldRows < progressRows) return;
      toldRows = progress.rows;
      tell({ progress });
    },
  }).then((found) => {
    outcome = found;
    record(call, found);
    tell({ done: { ...found, error: found.error?.message } });
  });
  try {
    while (outcome === undefined || waiting.length > 0) {
      if (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      yield waiting.splice(0).join('');
      drained();
    }
    await running;
  } finally {
    // Nobody reads on: what was done must come to its end all the same, and onto the record.
    isLeft = true;
    drained();
  }
}

function record({ caller, from, tenant, services }: Call, { rows, accepted, refused, error }: ImportOutcome): void {
  const details = { rows, accepted, refused, ...(error !== undefined && { error: error.message }) };
  const outcome = error === undefined ? 'done' : 'failed';
  services.audit.record({ actor: caller.actor, action: 'device.import', target: `device/${tenant}`, from, outcome, details });
}

/** A row must not do what the same device, added alone, would not be allowed. */
function guarded(call: Call): Pick<Registry, 'apply'> {
  const { registry } = call.services;
  return {
    async apply(writes, options) {
      const faults = await Promise.all(writes.map(async (write) => rowFault(write, call)));
      if (faults.every((fault) => fault === undefined)) return registry.apply(writes, options);
      const good = writes.filter((_write, i) => faults[i] === undefined);
      const applied = good.length === 0 ? { ok: true as const, value: [] } : await registry.apply(good, options);
      if (!applied.ok) return applied;
      const results = applied.value.values();
      return { ok: true, value: faults.map((fault) => (fault === undefined ? results.next().value! : refusal('invalid', fault))) };
    },
  };
}

async function rowFault(write: Write, call: Call): Promise<string | undefined> {
  if (write.do === 'remove' || write.kind !== 'device') return undefined;
  const { registry, settings } = call.services;
  const given = write.fields as Partial<Facts>;
  if (Array.isArray(given.roles) && given.roles.length > 0) {
    if (settings().separationOfDuties) return 'gives roles, which wants a second person: add it without, then ask for its roles';
    const forbids = grantForbidden(given.roles, call);
    if (forbids !== undefined) return forbids.detail;
  }
  if (!hasPlainFacts(given)) return undefined;
  const found = write.do === 'put' ? await registry.get('device', write.tenant, write.id) : undefined;
  if (found?.ok === false) return found.error.message;
  const before = found?.value;
  const { roles = [], groups = [], labels = {} } = { ...before, ...given };
  return changeForbidden('device', before, { id: write.id, roles, groups, labels }, false, call)?.detail;
}

/** Whether something is given by which policies go; what is not of its type the registry refuses. */
function hasPlainFacts({ roles, groups, labels }: Partial<Facts>): boolean {
  const isNames = (given: unknown): boolean =>
    given === undefined || (Array.isArray(given) && given.every((each) => typeof each === 'string'));
  if (!isNames(roles) || !isNames(groups) || (labels !== undefined && (typeof labels !== 'object' || labels === null))) return false;
  return roles !== undefined || groups !== undefined || labels !== undefined;
}

const takeOut = route({
  method: 'GET',
  path: '/devices:export',
  operation: 'exportDevices',
  summary: 'The devices of a tenant as a file that import takes',
  permission: 'devices:read',
  scope: 'tenant',
  query: object({ format }),
  gives: 'application/x-ndjson',
  answers: { 200: { description: 'The file.', schema: Type.String() } },
  audit: { action: 'device.export', target: (_input, tenant) => `device/${tenant}` },
  async handle({ query: { format: given = 'jsonl' } }, { tenant, services }) {
    const pieces = exportDevices(services.registry, tenant, given, {});
    return { status: 200, contentType: formats[given], stream: exported(pieces) };
  },
});

async function* exported(pieces: ReturnType<typeof exportDevices>): AsyncGenerator<string> {
  for await (const piece of pieces) {
    // The answer has begun: that it ends in the middle is the only way to tell.
    if ('error' in piece) throw new Error(piece.error.message);
    yield piece.text;
  }
}

export const transferRoutes: readonly RouteSpec[] = [bringIn, takeOut];
