// heliograph certificate list|show|revoke|release: what was issued, to whom, and what is revoked. Certificates are issued by
// `device certificate`, by enrolment and by the management API.

import { Command } from 'commander';
import type { OwnerKind, RevocationReason } from '../registry/entries.ts';
import { withManagement, type Managed } from './principal-command.ts';
import { wrongUsage } from './wrong-usage.ts';

type Certificate = {
  readonly tenant: string;
  readonly id: string;
  readonly owner?: { readonly kind: OwnerKind; readonly id: string };
  readonly serial: string;
  readonly issuer: string;
  readonly subject: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly status: 'valid' | 'revoked';
  readonly revokedAtMs?: number;
  readonly reason?: RevocationReason;
};

type OfTenant = Managed & { readonly tenant: string };
type Owned = { readonly device?: string; readonly application?: string; readonly user?: string; readonly ofUser?: string };
type List = OfTenant & Owned & { readonly status?: string; readonly limit: string };
type Revoke = OfTenant & Owned & { readonly reason: string };

export function certificateCommand(): Command {
  const command = new Command('certificate').alias('certificates').description('look at certificates, and revoke them');
  withOwner(withTenant(command.command('list').description('show certificates')))
    .option('-s, --status <status>', 'valid or revoked')
    .option('-n, --limit <count>', 'how many at most', '1000')
    .action(list);
  withTenant(command.command('show').description('show a certificate')).argument('<fingerprint>', fingerprintHelp).action(show);
  withOwner(
    withTenant(command.command('revoke').description('revoke a certificate, or all of a device: who shows it is cut off and kept out')),
  )
    .argument('[fingerprint]', fingerprintHelp)
    .option(
      '--reason <reason>',
      'why: keyCompromise, superseded, cessationOfOperation, privilegeWithdrawn, certificateHold…',
      'unspecified',
    )
    .action(revoke);
  withTenant(command.command('release').description('take back a revocation whose reason was certificateHold'))
    .argument('<fingerprint>', fingerprintHelp)
    .action(release);
  return command;
}

const fingerprintHelp = 'SHA-256 of the certificate, as list shows it';

function withTenant(command: Command): Command {
  return withManagement(command).option('-t, --tenant <tenant>', 'whose certificates', 'main');
}

/** `--user` is who asks. */
function withOwner(command: Command): Command {
  return command
    .option('--device <id>', 'those of this device')
    .option('--application <id>', 'those of this application')
    .option('--of-user <name>', 'those of this user');
}

function ownerOf({ device, application, ofUser }: Owned): { readonly kind: OwnerKind; readonly id: string } | undefined {
  if (device !== undefined) return { kind: 'device', id: device };
  if (application !== undefined) return { kind: 'application', id: application };
  return ofUser === undefined ? undefined : { kind: 'user', id: ofUser };
}

async function list(options: List): Promise<void> {
  const [{ withApi }, { moment, tellTable }, { countOf }] = await loaded();
  const owner = ownerOf(options);
  const query = { tenant: options.tenant, status: options.status, ...(owner && { ownerKind: owner.kind, ownerId: owner.id }) };
  const most = countOf(options.limit, 'certificates');
  await withApi(options, async (api) => {
    const found: Certificate[] = [];
    for await (const entry of api.pages<Certificate>('/certificates', query, most)) found.push(entry);
    tellTable(options, found, [
      ['status', ({ status }) => status],
      ['until', ({ notAfterMs }) => moment(notAfterMs).slice(0, 16)],
      ['owner', (entry) => ownerText(entry)],
      ['reason', ({ reason = '' }) => reason],
      ['fingerprint', ({ id }) => id],
    ]);
  });
}

async function show(given: string, options: OfTenant): Promise<void> {
  const [{ withApi }, { moment, tellFacts }] = await loaded();
  await withApi(options, async (api) => {
    const path = `/certificates/${fingerprintOf(given)}`;
    const { body: found } = await api.request<Certificate>('GET', path, { query: { tenant: options.tenant } });
    const { id, status, serial, issuer, subject, notBeforeMs, notAfterMs, revokedAtMs, reason } = found;
    tellFacts(options, found, [
      ['fingerprint', id],
      ['status', status],
      ['owner', ownerText(found)],
      ['subject', subject],
      ['serial', serial],
      ['issuer', issuer],
      ['from', moment(notBeforeMs)],
      ['until', moment(notAfterMs)],
      ['revoked', moment(revokedAtMs)],
      ['reason', reason ?? ''],
    ]);
  });
}

async function revoke(given: string | undefined, options: Revoke): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  const { tenant, reason } = options;
  const owner = ownerOf(options);
  if ((given === undefined) === (owner === undefined)) {
    throw wrongUsage(
      'What to revoke is not clear.',
      'give either the fingerprint of a certificate, or whose it shall be (--device pump-7)',
    );
  }
  await withApi(options, async (api) => {
    if (owner !== undefined) {
      const answer = await api.request<{ revoked: number }>('POST', '/certificates:revoke', { query: { tenant }, body: { owner, reason } });
      const { revoked } = answer.body;
      return tell(options, answer, `Revoked ${revoked} certificate${revoked === 1 ? '' : 's'} of ${owner.kind} ${tenant}/${owner.id}`);
    }
    const id = fingerprintOf(given!);
    tell(options, await api.request('POST', `/certificates/${id}/revoke`, { query: { tenant }, body: { reason } }), `Revoked ${id}`);
  });
}

async function release(given: string, options: OfTenant): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  const { tenant } = options;
  await withApi(options, async (api) => {
    const id = fingerprintOf(given);
    tell(options, await api.request('POST', `/certificates/${id}/release`, { query: { tenant } }), `${id} is valid again`);
  });
}

function fingerprintOf(given: string): string {
  const digits = given.replaceAll(':', '').toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digits)) return digits;
  throw wrongUsage(`"${given}" is no fingerprint.`, 'give its 64 hexadecimal digits, as "certificate list" shows them');
}

function ownerText({ owner, tenant }: Certificate): string {
  return owner === undefined ? '' : `${owner.kind} ${tenant}/${owner.id}`;
}

function loaded() {
  return Promise.all([import('./api-client.ts'), import('./answer-text.ts'), import('./given.ts')]);
}
