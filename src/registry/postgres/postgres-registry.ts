// The registry in PostgreSQL, for several nodes that share it. Nothing is answered at once here: put a LookUpCache before it where
// peers connect.

import type { Clock } from '../../base/clock.ts';
import { silentLog, type Log } from '../../base/log.ts';
import { ChangeFeed } from '../change-feed.ts';
import type { Entry, Kind, Owner } from '../entries.ts';
import { systemScope } from '../entries.ts';
import {
  refusal,
  value,
  type AuthorityQuery,
  type ChangeListener,
  type NamedPrincipal,
  type Page,
  type PageQuery,
  type Query,
  type Registry,
  type Result,
  type Write,
} from '../registry.ts';
import { SingleWrites } from '../single-writes.ts';
import { changesSince, currentRevision } from '../sql/changes.ts';
import { refusalOf } from '../sql/failure.ts';
import { authoritiesPage, expiringPage, listPage, revokedPage } from '../sql/pages.ts';
import {
  all,
  bySerial,
  byTokenHash,
  certificateStatement,
  credentialsStatement,
  handleStatement,
  getStatement,
  named,
  one,
} from '../sql/reads.ts';
import { rows, type Steps } from '../sql/statement.ts';
import { applyWrites } from '../sql/writes.ts';
import { Database, type PostgresConnection } from './database.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations.ts';
import { NotificationListener } from './notification-listener.ts';

export type PostgresRegistryOptions = {
  readonly connection: PostgresConnection;
  readonly clock: Clock;
  readonly log?: Log;
  /** How often it is looked for changes, should a notification be lost. */
  readonly pollMs?: number;
};

const defaultPollMs = 1_000;
const firstTenant = 'main';
const schemaVersion = migrations.length;

export class PostgresRegistry extends SingleWrites implements Registry {
  readonly #clock: Clock;
  readonly #database: Database;
  readonly #channel: string;
  readonly #pollMs: number;
  readonly #feed: ChangeFeed;
  #subscribers = 0;
  #listener: NotificationListener | undefined;
  #timer: NodeJS.Timeout | undefined;
  #telling: Promise<void> | undefined;
  #nextTelling: Promise<void> | undefined;
  #open = true;

  private constructor(options: PostgresRegistryOptions, database: Database, revision: number) {
    super();
    this.#clock = options.clock;
    this.#database = database;
    this.#channel = channelOf(options.connection);
    this.#pollMs = options.pollMs ?? defaultPollMs;
    this.#feed = new ChangeFeed(revision, options.log ?? silentLog);
  }

  /** Connects, makes the tables or brings them up to date; a new registry has the tenant `main`. */
  static async open(options: PostgresRegistryOptions): Promise<Result<PostgresRegistry>> {
    const database = new Database(options.connection);
    try {
      await migrate(database, options.connection.schema);
      const revision = await database.run(currentRevision(schemaVersion));
      const registry = new PostgresRegistry(options, database, revision);
      if (revision === 0) {
        const first: Write = { do: 'put', kind: 'tenant', tenant: systemScope, id: firstTenant, fields: {} };
        const made = await registry.apply([first], { atomic: true });
        if (!made.ok) {
          await database.close();
          return made;
        }
      }
      return value(registry);
    } catch (error) {
      await database.close();
      return refusalOf(error);
    }
  }

  get<K extends Kind>(kind: K, tenant: string, id: string): Promise<Result<Entry<K> | undefined>> {
    return this.#value(one<K>(kind, getStatement(kind, tenant, id)));
  }

  principal(tenant: string, id: string): Promise<Result<NamedPrincipal | undefined>> {
    return this.#value(named(tenant, id));
  }

  certificate(fingerprint: string): Promise<Result<Entry<'certificate'> | undefined>> {
    return this.#value(one('certificate', certificateStatement(fingerprint)));
  }

  credentials(tenant: string, owner: Owner): Promise<Result<readonly Entry<'credential'>[]>> {
    return this.#value(all('credential', credentialsStatement(tenant, owner)));
  }

  credentialsByHandle(handle: string): Promise<Result<readonly Entry<'credential'>[]>> {
    return this.#value(all('credential', handleStatement(handle)));
  }

  list<K extends Kind>(kind: K, tenant: string, query: Query): Promise<Result<Page<Entry<K>>>> {
    return this.#result(listPage(kind, tenant, query));
  }

  authorities(query: AuthorityQuery): Promise<Result<Page<Entry<'authority'>>>> {
    return this.#result(authoritiesPage(query));
  }

  enrolmentByTokenHash(tokenHash: string): Promise<Result<Entry<'enrolment'> | undefined>> {
    return this.#value(byTokenHash(tokenHash));
  }

  certificateBySerial(issuer: string, serial: string): Promise<Result<Entry<'certificate'> | undefined>> {
    return this.#value(bySerial(issuer, serial));
  }

  revoked(issuer: string, query: PageQuery): Promise<Result<Page<Entry<'certificate'>>>> {
    return this.#result(revokedPage(issuer, query));
  }

  expiring(fromMs: number, beforeMs: number, query: PageQuery): Promise<Result<Page<Entry<'certificate'>>>> {
    return this.#result(expiringPage(fromMs, beforeMs, query));
  }

  async apply(writes: readonly Write[], { atomic }: { readonly atomic: boolean }): Promise<Result<readonly Result<Entry<Kind>>[]>> {
    if (!this.#open) return closed;
    try {
      const result = await this.#database.transaction(async (run) => {
        const { result, commit } = await run(applyWrites(writes, atomic, schemaVersion, this.#clock.wallMs()));
        // Sent by PostgreSQL when the transaction is committed, and not otherwise.
        if (commit) await run(rows(`SELECT pg_notify(?, '')`, [this.#channel]));
        return { value: result, commit };
      });
      if (this.#subscribers > 0) await this.#tell();
      return result;
    } catch (error) {
      return refusalOf(error);
    }
  }

  subscribe(listener: ChangeListener): () => void {
    let stopped = false;
    const stop = this.#feed.subscribe(listener);
    if (this.#subscribers++ === 0) {
      this.#listener = new NotificationListener(this.#database, this.#channel, () => void this.#tell());
      this.#timer = setInterval(() => this.#look(), this.#pollMs).unref();
      this.#look();
    }
    return () => {
      if (stopped) return;
      stopped = true;
      stop();
      if (--this.#subscribers === 0) void this.#stopLooking();
    };
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#stopLooking();
    await this.#telling;
    await this.#database.close();
  }

  async #stopLooking(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const listener = this.#listener;
    this.#listener = undefined;
    await listener?.close();
  }

  #look(): void {
    void this.#listener?.ensure();
    void this.#tell();
  }

  /** Tells of everything that was written before this call. */
  #tell(): Promise<void> {
    if (this.#telling === undefined) {
      this.#telling = this.#tellOnce().finally(() => (this.#telling = undefined));
      return this.#telling;
    }
    // The one under way may have read already: one more behind it serves all who come meanwhile.
    return (this.#nextTelling ??= this.#telling.then(() => {
      this.#nextTelling = undefined;
      return this.#tell();
    }));
  }

  async #tellOnce(): Promise<void> {
    for (let more = true; more && this.#open;) {
      const read = await this.#value(changesSince(this.#feed.told, schemaVersion));
      if (!read.ok) {
        this.#feed.failed(read.error);
        return;
      }
      this.#feed.tell(read.value);
      more = read.value.more;
    }
  }

  async #value<T>(steps: Steps<T>): Promise<Result<T>> {
    if (!this.#open) return closed;
    try {
      return value(await this.#database.run(steps));
    } catch (error) {
      return refusalOf(error);
    }
  }

  async #result<T>(steps: Steps<Result<T>>): Promise<Result<T>> {
    const found = await this.#value(steps);
    return found.ok ? found.value : found;
  }
}

function channelOf({ schema }: PostgresConnection): string {
  return `${schema}_registry`;
}

const closed = refusal('unavailable', 'the registry is closed');
