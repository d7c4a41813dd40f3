// The management API for a command that finds no running node: the same application, on the registry under the data directory, asked
// in process. Before anything is written the data directory is locked, and what is done goes into the audit log. Authorities are opened
// only for who asks about them: that takes a moment, and makes them where there are none.

import type { Api } from '../admin/api/api.ts';
import { localCaller } from '../admin/api/caller.ts';
import type { ApiServices } from '../admin/api/services.ts';
import { SystemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { secureRandom } from '../base/secure-random.ts';
import { UserError } from '../base/user-error.ts';
import type { Config } from '../config.ts';
import type { Registry } from '../registry/registry.ts';
import type { Audit } from '../security/audit/audit.ts';
import { openAuditLog, type AuditLog } from '../security/audit/audit-log.ts';
import { offlineApiServices } from './api-services.ts';
import { lockDataDirectory, type DataLock } from './data-lock.ts';
import { auditPath } from './paths.ts';
import { openRegistryOf } from './registry-of.ts';
import type { Rooms } from './rooms.ts';

export type OfflineApi = Pick<Api, 'inject' | 'close'> & {
  /** Must come before each request. `url`: with /api/v1. @throws UserError when it would write, and a node runs */
  prepare(method: string, url: string): Promise<void>;
};

/** @throws UserError when the registry cannot be opened */
export async function openOfflineApi(config: Config): Promise<OfflineApi> {
  const clock = new SystemClock();
  const [registry, { createApi }] = await Promise.all([openRegistryOf(config, { clock, thread: false }), import('../admin/api/api.ts')]);
  const writing = new Writing(config, clock, registry);
  const services: ApiServices = {
    ...offlineApiServices({ clock, random: secureRandom, registry, audit: writing, config: () => config }),
    pki: () => writing.authorities?.pki,
    ca: () => writing.authorities?.ca,
  };
  const api = await createApi(services, { identify: async () => ({ ok: true, caller: localCaller }), describe: false });
  return {
    inject: api.inject,
    async prepare(method, url) {
      // An export changes nothing, but is on record.
      if (method !== 'GET' || url.includes(':export')) await writing.begin();
      if (wantsAuthorities(method, url)) await writing.openAuthorities();
    },
    async close() {
      await api.close();
      await writing.endAuthorities();
      await registry.close();
      await writing.end();
    },
  };
}

function wantsAuthorities(method: string, url: string): boolean {
  return /^\/api\/v1\/authorities\b/.test(url) || (method === 'POST' && /^\/api\/v1\/certificates(\?|$)/.test(url));
}

type Authorities = Pick<Rooms, 'pki' | 'ca'>;

/** The lock of the data directory, and what only its holder may write: the audit log and the authorities. */
class Writing implements Audit {
  authorities: Authorities | undefined;
  readonly #config: Config;
  readonly #clock: SystemClock;
  readonly #registry: Registry;
  #lock: DataLock | undefined;
  #audit: AuditLog | undefined;

  constructor(config: Config, clock: SystemClock, registry: Registry) {
    this.#config = config;
    this.#clock = clock;
    this.#registry = registry;
  }

  record: Audit['record'] = (event) => this.#audit?.record(event);

  async begin(): Promise<AuditLog> {
    const { node, audit: settings } = this.#config;
    this.#lock ??= await lockDataDirectory(node.dataDir, 'command');
    if (this.#audit !== undefined) return this.#audit;
    const { syslog: _, retentionSec, ...options } = settings;
    const where = { ...options, directory: auditPath(node.dataDir), retentionMs: retentionSec * 1000 };
    this.#audit = await openAuditLog(where, { clock: this.#clock, log: silentLog });
    return this.#audit;
  }

  async openAuthorities(): Promise<void> {
    if (this.authorities !== undefined) return;
    const audit = await this.begin();
    const { openAuthorities } = await import('./pki-part.ts');
    const own = { clock: this.#clock, random: secureRandom, registry: this.#registry, audit };
    this.authorities = await openAuthorities({ ...own, log: silentLog, config: () => this.#config });
  }

  async endAuthorities(): Promise<void> {
    await this.authorities?.pki.close();
  }

  async end(): Promise<void> {
    await this.#audit?.close();
    await this.#lock?.release();
    const why = this.#audit?.failure;
    if (why === undefined) return;
    throw new UserError(`It was done, but is not on record: the audit log cannot be written: ${why}`, {
      where: auditPath(this.#config.node.dataDir),
      fix: 'see that the disk has room and that this user may write there; then note down what was done',
    });
  }
}
