// The management API for a command that finds no running node: the same application, on the registry under the data directory, asked
// in process. Before anything is written the data directory is locked, and what is done goes into the audit log.

import type { Api } from '../admin/api/api.ts';
import { localCaller } from '../admin/api/caller.ts';
import { SystemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { secureRandom } from '../base/secure-random.ts';
import type { Config } from '../config.ts';
import type { Audit } from '../security/audit/audit.ts';
import { openAuditLog } from '../security/audit/audit-log.ts';
import { offlineApiServices } from './api-services.ts';
import { lockDataDirectory } from './data-lock.ts';
import { auditPath } from './paths.ts';
import { openRegistryOf } from './registry-of.ts';

export type OfflineApi = Pick<Api, 'inject' | 'close'> & {
  /** Must come before a request that changes something, or is audited. @throws UserError when a node runs */
  prepareToWrite(): Promise<void>;
};

/** @throws UserError when the registry cannot be opened */
export async function openOfflineApi(config: Config): Promise<OfflineApi> {
  const clock = new SystemClock();
  const [registry, { createApi }] = await Promise.all([openRegistryOf(config, { clock, thread: false }), import('../admin/api/api.ts')]);
  const writing = new Writing(config, clock);
  const services = offlineApiServices({ clock, random: secureRandom, registry, audit: writing, config: () => config });
  const api = await createApi(services, { identify: async () => ({ ok: true, caller: localCaller }), describe: false });
  return {
    inject: api.inject,
    prepareToWrite: () => writing.begin(),
    async close() {
      await api.close();
      await registry.close();
      await writing.end();
    },
  };
}

/** The lock of the data directory, and the audit log, which only its holder may write. */
class Writing implements Audit {
  readonly #config: Config;
  readonly #clock: SystemClock;
  #begun: Promise<{ readonly audit: Awaited<ReturnType<typeof openAuditLog>>; readonly release: () => Promise<void> }> | undefined;
  #audit: Audit | undefined;

  constructor(config: Config, clock: SystemClock) {
    this.#config = config;
    this.#clock = clock;
  }

  record: Audit['record'] = (event) => this.#audit?.record(event);

  async begin(): Promise<void> {
    this.#begun ??= this.#open();
    await this.#begun;
  }

  async end(): Promise<void> {
    const begun = await this.#begun?.catch(() => undefined);
    await begun?.audit.close();
    await begun?.release();
  }

  async #open() {
    const { node, audit: settings } = this.#config;
    const lock = await lockDataDirectory(node.dataDir, 'command');
    try {
      const { syslog: _, retentionSec, ...options } = settings;
      const where = { ...options, directory: auditPath(node.dataDir), retentionMs: retentionSec * 1000 };
      const audit = await openAuditLog(where, { clock: this.#clock, log: silentLog });
      this.#audit = audit;
      return { audit, release: () => lock.release() };
    } catch (error) {
      await lock.release();
      throw error;
    }
  }
}
