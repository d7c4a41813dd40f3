// heliograph audit list|export|verify|head: who did what, and whether the record of it is whole.

import { Command } from 'commander';
import { withAccessOptions, type AccessOptions } from './access-options.ts';
import { wrongUsage } from './wrong-usage.ts';
import type { EntryLine } from '../security/audit/audit-line.ts';
import type { AuditReport } from '../security/audit/verify-audit.ts';

type Filter = {
  readonly from?: string;
  readonly until?: string;
  readonly action?: string;
  readonly target?: string;
  readonly actor?: string;
  readonly outcome?: string;
};
type Options = AccessOptions & Filter & { readonly json?: boolean };
type VerifyOptions = Options & { readonly dir?: string; readonly root?: string[]; readonly head?: string };

export function auditCommand(): Command {
  const command = new Command('audit').description('the audit log: who did what, and proof that nothing was taken out of it');
  withFilter(command.command('list').description('show the newest entries, oldest of them first'))
    .option('-n, --last <count>', 'how many, 1000 at most; export writes all', '100')
    .option('--json', 'entries as JSON lines')
    .action(list);
  withFilter(command.command('export').description('write entries, for other systems'))
    .option('-f, --format <format>', 'jsonl or syslog (RFC 5424)', 'jsonl')
    .action(exportEntries);
  withAccessOptions(command.command('verify').description('read every line again: is each there, unchanged, in its order, and signed?'))
    .option('--dir <dir>', 'a copy of the log to verify instead, without any broker')
    .option('--root <file...>', 'PEM of the authority that the signatures must lead to; needed with --dir')
    .option('--head <seq:hash>', 'what "audit head" printed earlier: that line must still be there')
    .option('--json', 'machine-readable result')
    .action(verify);
  withAccessOptions(command.command('head').description('print where the log ends, to be kept elsewhere and given to verify later'))
    .option('--json', 'machine-readable result')
    .action(head);
  return command;
}

function withFilter(command: Command): Command {
  return withAccessOptions(command)
    .option('--from <time>', 'not before, such as 2026-11-23 or 2026-11-23T06:00Z')
    .option('--until <time>', 'before')
    .option('--action <text>', 'actions that begin with this: device., authentication.fail')
    .option('--target <text>', 'targets that begin with this: device/main/pump-7')
    .option('--actor <name>', 'what this one did: main/alice, (local), (node)')
    .option('--outcome <outcome>', 'done, refused or failed');
}

async function list(options: Options & { readonly last: string }): Promise<void> {
  const [{ withApi }, { visible }, { actorText }] = await Promise.all([
    import('./api-client.ts'),
    import('./visible.ts'),
    import('../security/audit/audit-line.ts'),
  ]);
  const query = queryOf(options);
  const last = countOf(options.last);
  await withApi(options, async (api) => {
    const { body } = await api.request<{ readonly entries: readonly EntryLine[] }>('GET', '/audit', { query: { ...query, last } });
    for (const entry of body.entries) {
      if (options.json) process.stdout.write(`${JSON.stringify(entry)}\n`);
      else {
        const { at, outcome, action, target, from, actor, details } = entry;
        const facts = Object.entries(details ?? {}).map(([name, fact]) => `${name}=${fact}`);
        const words = [at, outcome.padEnd(7), actorText(actor), action, target, ...(from === '' ? [] : [`from ${from}`]), ...facts];
        process.stdout.write(`${visible(words.filter((word) => word !== '').join('  '))}\n`);
      }
    }
  });
}

async function exportEntries(options: Options & { readonly format: string }): Promise<void> {
  const { format } = options;
  if (format !== 'jsonl' && format !== 'syslog') throw wrongUsage(`"${format}" is no format of the audit log.`, 'use jsonl or syslog');
  const [{ withApi }, { syslogMessage }, { hostname }] = await Promise.all([
    import('./api-client.ts'),
    import('../security/audit/syslog-format.ts'),
    import('node:os'),
  ]);
  const query = queryOf(options);
  const self = { hostname: hostname(), processId: process.pid };
  await withApi(options, async (api) => {
    for await (const line of api.lines('GET', '/audit:export', { query })) {
      process.stdout.write(format === 'jsonl' ? `${line}\n` : `${syslogMessage(JSON.parse(line) as EntryLine, self)}\n`);
    }
  });
}

async function verify(options: VerifyOptions): Promise<void> {
  const expected = options.head === undefined ? undefined : headOf(options.head);
  const report = options.dir === undefined ? await verifyThere(options, expected) : await verifyHere(options.dir, options, expected);
  if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else process.stdout.write(inWords(report));
  if (!report.whole || isUnsigned(report)) process.exitCode = 1;
}

type Head = AuditReport['head'];

async function verifyThere(options: VerifyOptions, expected: Head | undefined): Promise<AuditReport> {
  const { withApi } = await import('./api-client.ts');
  return withApi(options, async (api) => {
    const { body } = await api.request<AuditReport>('POST', '/audit:verify', { body: { head: expected } });
    return body;
  });
}

async function verifyHere(directory: string, { root }: VerifyOptions, expected: Head | undefined): Promise<AuditReport> {
  if (root === undefined) {
    throw wrongUsage('Nobody is named whom the signatures must lead to.', 'give --root with the certificate of the authority (pki/ca.crt)');
  }
  const [{ verifyAudit }, { readFile }, { progressLine }, { UserError }] = await Promise.all([
    import('../security/audit/verify-audit.ts'),
    import('node:fs/promises'),
    import('./progress-line.ts'),
    import('../base/user-error.ts'),
  ]);
  const line = progressLine(true);
  try {
    const roots = await Promise.all(root.map((file) => readFile(file, 'utf8')));
    return await verifyAudit(directory, { roots, expected, onProgress: (lines) => line.show(`${lines} lines`) });
  } catch (error) {
    throw new UserError(`The audit log cannot be verified: ${(error as Error).message}`, {
      where: directory,
      fix: 'check the paths of --dir and --root, and that this user may read them',
      cause: error,
    });
  } finally {
    line.clear();
  }
}

/** Every line may follow from the one before, and all of them be made by somebody else. */
function isUnsigned({ entries, sealedThrough }: AuditReport): boolean {
  return entries > 0 && sealedThrough === 0;
}

function inWords(report: AuditReport): string {
  const { whole, faults, moreFaults, entries, segments, seals, sealedThrough, lateSeals, head: end } = report;
  const found = faults.map(({ file, line, what }) => `  ${file}, line ${line}: ${what}\n`).join('');
  const more = moreFaults > 0 ? `  and ${moreFaults} more\n` : '';
  const open = end.seq - sealedThrough;
  const signed = open === 0 ? 'signed to the end' : `the last ${open} lines are not signed yet`;
  const good = isUnsigned(report)
    ? 'NOTHING IN THE AUDIT LOG IS SIGNED, so whoever can write its files could have made it'
    : 'The audit log is whole';
  const verdict = whole ? good : 'THE AUDIT LOG IS NOT WHOLE';
  const late = lateSeals === 0 ? '' : `${lateSeals} signatures came more than an hour after what they sign.\n`;
  return `${verdict}: ${entries} entries in ${segments} files, ${seals} signatures, ${signed}.\n${late}${found}${more}Head: ${end.seq}:${end.hash}\n`;
}

async function head(options: Options): Promise<void> {
  const { withApi } = await import('./api-client.ts');
  await withApi(options, async (api) => {
    const { body } = await api.request<Head>('GET', '/audit:head');
    process.stdout.write(options.json ? `${JSON.stringify(body)}\n` : `${body.seq}:${body.hash}\n`);
  });
}

function queryOf({ from, until, action, target, actor, outcome }: Filter): Record<string, string | number | undefined> {
  return { fromMs: momentOf(from), untilMs: momentOf(until), action, target, actor, outcome };
}

function momentOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw wrongUsage(`"${text}" is no point in time.`, 'write it as 2026-11-23 or 2026-11-23T06:00Z');
  return ms;
}

function countOf(text: string): number {
  if (!/^([1-9]\d{0,2}|1000)$/.test(text)) throw wrongUsage(`"${text}" is no number of entries.`, 'give 1 to 1000, or use export');
  return Number(text);
}

function headOf(text: string): Head {
  const [, seq, hash] = /^(\d+):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined)
    throw wrongUsage(`"${text}" is no head of an audit log.`, 'give what "heliograph audit head" printed');
  return { seq: Number(seq), hash };
}
