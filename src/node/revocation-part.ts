import { X509Certificate } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { MetricSource } from '../base/metrics.ts';
import type { Config } from '../config.ts';
import { systemScope } from '../registry/entries.ts';
import { describeCertificate } from '../security/peer-certificate.ts';
import type { AuthorityView } from '../security/pki/pki.ts';
import { CrlNumbersFile } from '../security/pki/revocation/crl-numbers.ts';
import { CrlPublisher } from '../security/pki/revocation/crl-publisher.ts';
import { ForeignCheck } from '../security/pki/revocation/foreign-check.ts';
import { HandshakeAdmission } from '../security/pki/revocation/handshake-admission.ts';
import { JustInTime } from '../security/pki/revocation/just-in-time.ts';
import { OcspResponder } from '../security/pki/revocation/ocsp-responder.ts';
import { OwnAuthorities } from '../security/pki/revocation/own-authorities.ts';
import { fetchPublic } from '../security/pki/revocation/public-fetch.ts';
import { trustedAuthority, type TrustedAuthority } from '../security/pki/revocation/trust-path.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';

/** Of the two seconds in which a revocation must be on the list, this is the part that passes before anything is done. */
const listsEveryMs = 500;
const foreignEveryMs = 5000;

/** What the node's revocation consists of; `lists` and `ocsp` only where there are own authorities. */
export type Revocation = {
  readonly admission: HandshakeAdmission;
  readonly foreign: ForeignCheck;
  readonly justInTime: JustInTime;
  readonly own: { readonly authorities: OwnAuthorities; readonly lists: CrlPublisher; readonly ocsp: OcspResponder } | undefined;
  readonly metrics: readonly MetricSource[];
};

/** Judges handshakes, issues lists, answers OCSP, asks other authorities. */
export function revocationPart(rooms: Rooms): Part {
  const settings = admissionSettings(rooms.config);
  const intervals: NodeJS.Timeout[] = [];
  const stops: (() => void)[] = [];
  let revocation: Revocation | undefined;
  return {
    name: 'revocation',
    async start() {
      revocation = await openRevocation(rooms, settings);
      rooms.revocation = revocation;
      const { admission, own, foreign } = revocation;
      const trust = (): void => admission.trust(trustedBy(rooms));
      trust();
      if (rooms.pki !== undefined) stops.push(rooms.pki.subscribe(trust));
      if (own !== undefined) {
        // Not waited for: a long list is not a reason to start later.
        void own.lists.tick();
        intervals.push(setInterval(() => void own.lists.tick(), listsEveryMs).unref());
      }
      intervals.push(setInterval(() => foreign.tick(), foreignEveryMs).unref());
    },
    async stop() {
      for (const interval of intervals.splice(0)) clearInterval(interval);
      for (const stop of stops.splice(0)) stop();
      revocation?.own?.ocsp.close();
      await revocation?.own?.lists.close();
      revocation?.own?.authorities.close();
    },
    reload(config) {
      Object.assign(settings, admissionSettings(config));
      // The file of client authorities may have changed.
      revocation?.admission.trust(trustedBy(rooms));
    },
  };
}

async function openRevocation(rooms: Rooms, settings: ReturnType<typeof admissionSettings>): Promise<Revocation> {
  const { config, clock, log, audit, registry, lookUps, random, pki } = rooms;
  const { foreign: foreignSettings, ...rest } = config.revocation;
  const foreign = new ForeignCheck({ fetch: fetchPublic, clock, random, log, audit, settings: foreignSettings });
  const admission = new HandshakeAdmission({ lookUps, foreign, describe: describeCertificate, clock, log, audit }, settings);
  const justInTime = new JustInTime(
    { registry, clock, audit, detailsOf: (fingerprint) => admission.detailsOf(fingerprint) },
    { perMinute: rest.registrationsPerMinute },
  );
  const metrics: MetricSource[] = [admission, foreign, justInTime];
  if (pki === undefined) return { admission, foreign, justInTime, own: undefined, metrics };
  const authorities = new OwnAuthorities(pki);
  const lists = new CrlPublisher({
    authorities,
    registry,
    numbers: await CrlNumbersFile.open(join(resolve(config.node.dataDir), 'pki', 'crl-numbers.json')),
    clock: fresh(rooms),
    log,
    audit,
    settings: {
      intervalMs: rest.crlIntervalMs,
      validityMs: rest.crlValidityMs,
      maxEntries: rest.crlEntries,
      publicUrl: config.pki.publicUrl,
    },
  });
  const { ocspValidityMs: validityMs, ocspCacheEntries: cacheEntries, ocspSigning: signing } = rest;
  const ocsp = new OcspResponder({ authorities, registry, clock, log, settings: { validityMs, cacheEntries, signing } });
  return { admission, foreign, justInTime, own: { authorities, lists, ocsp }, metrics: [...metrics, lists, ocsp] };
}

/** The loop's clock stands still while nothing comes in; timers must not go by it. */
function fresh({ clock }: Rooms) {
  return {
    wallMs(): number {
      clock.refresh();
      return clock.wallMs();
    },
    monotonicMs(): number {
      clock.refresh();
      return clock.monotonicMs();
    },
  };
}

function admissionSettings({ revocation }: Config) {
  return { requireClientUsage: revocation.requireClientUsage, cacheEntries: revocation.pathCacheEntries };
}

/**
 * The order says what counts where an authority stands there twice. Own ones first. What a file trusts goes before what a tenant has
 * registered and not proved, or given up: nobody can make the operator's authority worthless by registering it.
 */
function trustedBy({ pki, keystore, log }: Rooms): TrustedAuthority[] {
  const trusted: TrustedAuthority[] = [];
  const add = (pem: string, more: Pick<TrustedAuthority, 'tenant' | 'role' | 'status'>): void => {
    try {
      const found = trustedAuthority(new X509Certificate(pem), more);
      if (found !== undefined) trusted.push(found);
    } catch {
      log.warn('pki.authority.unreadable', { role: more.role, status: more.status });
    }
  };
  const registered = (pki?.authorities ?? []).map((one) => ({ ...one, rank: rankOf(one) }));
  for (const one of registered.filter(({ rank }) => rank < 2).sort((a, b) => a.rank - b.rank)) add(one.certificate, one);
  const files = keystore.material.operatorAuthorities.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  for (const pem of files) add(pem, { tenant: systemScope, role: 'operator', status: 'active' });
  for (const one of registered.filter(({ rank }) => rank === 2)) add(one.certificate, one);
  return trusted;
}

function rankOf({ role, status }: AuthorityView): number {
  if (role !== 'foreign') return 0;
  return status === 'active' || status === 'retiring' ? 1 : 2;
}
