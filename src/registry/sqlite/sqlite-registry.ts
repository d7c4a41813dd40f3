// The registry in a file of the data directory. Look-ups of one entry are answered at once from this thread; whatever may take
// longer, and every write, is done by a thread of its own. Other processes may write at the same time (the command line does):
// their changes are noticed by a look at a counter of SQLite's, several times a second.

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
import { refusalOf, RegistryFailure } from '../sql/failure.ts';
import { all, certificateStatement, credentialsStatement, handleStatement, getStatement, named, one } from '../sql/reads.ts';
import { perform, type Call } from './calls.ts';
import { defaultWriteWaitMs, RegistryFile } from './registry-file.ts';
import { RegistryThread } from './registry-thread.ts';

export type SqliteRegistryOptions = {
  /** The file; `-wal` and `-shm` appear beside it. Its directory must exist. */
  readonly path: string;
  readonly clock: Clock;
  readonly log?: Log;
  /** False: everything is done at once in this thread, as the command line wants it, and nothing is checked when it is opened. */
  readonly thread?: boolean;
  /** How often it is looked for changes by other processes. */
  readonly pollMs?: number;
  /** How long a write waits for other processes that write. */
  readonly writeWaitMs?: number;
};

const defaultPollMs = 250;
const firstTenant = 'main';

export class SqliteRegistry extends SingleWrites implements Registry {
  readonly #clock: Clock;
  readonly #pollMs: number;
  readonly #file: RegistryFile;
  readonly #thread: RegistryThread | undefined;
  readonly #feed: ChangeFeed;
  #subscribers = 0;
  #timer: NodeJS.Timeout | undefined;
  #isBehind = false;
  #open = true;

  private constructor(options: SqliteRegistryOptions, { file, alone }: OpenedFile) {
    super();
    this.#clock = options.clock;
    this.#pollMs = options.pollMs ?? defaultPollMs;
    this.#file = file;
    this.#thread =
      options.thread === false || alone ? undefined : new RegistryThread(options.path, options.writeWaitMs ?? defaultWriteWaitMs);
    file.changedByOthers();
    this.#feed = new ChangeFeed(file.run(currentRevision(file.schema)), options.log ?? silentLog);
  }

  /** Opens the file, or makes it, with the tenant `main`. */
  static open(options: SqliteRegistryOptions): Result<SqliteRegistry> {
    let opened: OpenedFile | undefined;
    try {
      opened = openFile(options);
      const { file } = opened;
      if (file.run(currentRevision(file.schema)) === 0) {
        const first: Write = { do: 'put', kind: 'tenant', tenant: systemScope, id: firstTenant, fields: {} };
        file.apply([first], true, options.clock.wallMs());
      }
      return value(new SqliteRegistry(options, opened));
    } catch (error) {
      opened?.file.close();
      return refusalOf(error);
    }
  }

  get<K extends Kind>(kind: K, tenant: string, id: string): Result<Entry<K> | undefined> {
    return this.#now(() => this.#file.run(one<K>(kind, getStatement(kind, tenant, id))));
  }

  principal(tenant: string, id: string): Result<NamedPrincipal | undefined> {
    return this.#now(() => this.#file.run(named(tenant, id)));
  }

  certificate(fingerprint: string): Result<Entry<'certificate'> | undefined> {
    return this.#now(() => this.#file.run(one('certificate', certificateStatement(fingerprint))));
  }

  credentials(tenant: string, owner: Owner): Result<readonly Entry<'credential'>[]> {
    return this.#now(() => this.#file.run(all('credential', credentialsStatement(tenant, owner))));
  }

  credentialsByHandle(handle: string): Result<readonly Entry<'credential'>[]> {
    return this.#now(() => this.#file.run(all('credential', handleStatement(handle))));
  }

  list<K extends Kind>(kind: K, tenant: string, query: Query): Promise<Result<Page<Entry<K>>>> {
    return this.#later({ what: 'list', kind, tenant, query });
  }

  authorities(query: AuthorityQuery): Promise<Result<Page<Entry<'authority'>>>> {
    return this.#later({ what: 'authorities', query });
  }

  enrolmentByTokenHash(tokenHash: string): Promise<Result<Entry<'enrolment'> | undefined>> {
    return this.#later({ what: 'token', tokenHash });
  }

  certificateBySerial(issuer: string, serial: string): Promise<Result<Entry<'certificate'> | undefined>> {
    return this.#later({ what: 'serial', issuer, serial });
  }

  revoked(issuer: string, query: PageQuery): Promise<Result<Page<Entry<'certificate'>>>> {
    return this.#later({ what: 'revoked', issuer, query });
  }

  expiring(fromMs: number, beforeMs: number, query: PageQuery): Promise<Result<Page<Entry<'certificate'>>>> {
    return this.#later({ what: 'expiring', fromMs, beforeMs, query });
  }

  async apply(writes: readonly Write[], { atomic }: { readonly atomic: boolean }): Promise<Result<readonly Result<Entry<Kind>>[]>> {
    const applied = await this.#later<readonly Result<Entry<Kind>>[]>({ what: 'apply', writes, atomic, nowMs: this.#clock.wallMs() });
    if (this.#subscribers > 0 && this.#open) this.#tell();
    return applied;
  }

  subscribe(listener: ChangeListener): () => void {
    // What happened before is not for the new one: the others hear of it now.
    if (this.#subscribers > 0) this.#tell();
    else this.#skip();
    const stop = this.#feed.subscribe(listener);
    this.#subscribers++;
    this.#timer ??= setInterval(() => this.#look(), this.#pollMs).unref();
    let stopped = false;
    return () => {
      if (stopped) return;
      stopped = true;
      stop();
      if (--this.#subscribers === 0) this.#stopLooking();
    };
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#stopLooking();
    await this.#thread?.close();
    this.#file.close();
  }

  #stopLooking(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const changed = this.#now(() => this.#file.changedByOthers());
    if (!changed.ok) this.#feed.failed(changed.error);
    else if (changed.value || this.#isBehind) this.#tell();
  }

  /** Nobody is to be told of what was changed until now. */
  #skip(): void {
    const read = this.#now(() => {
      this.#file.changedByOthers();
      return this.#file.run(currentRevision(this.#file.schema));
    });
    if (!read.ok) this.#feed.failed(read.error);
    else this.#feed.tell({ changes: [], upTo: read.value });
  }

  #tell(): void {
    for (let more = true; more;) {
      const read = this.#now(() => this.#file.run(changesSince(this.#feed.told, this.#file.schema)));
      // That something was changed is seen once: what could not be read then is read at the next look.
      this.#isBehind = !read.ok;
      if (!read.ok) {
        this.#feed.failed(read.error);
        return;
      }
      this.#feed.tell(read.value);
      more = read.value.more;
    }
  }

  #now<T>(look: () => T): Result<T> {
    if (!this.#open) return closed;
    try {
      return value(look());
    } catch (error) {
      return refusalOf(error);
    }
  }

  async #later<T>(call: Call): Promise<Result<T>> {
    if (!this.#open) return closed;
    if (this.#thread !== undefined) return (await this.#thread.call(call)) as Result<T>;
    try {
      return perform(this.#file, call) as Result<T>;
    } catch (error) {
      return refusalOf(error);
    }
  }
}

const closed = refusal('unavailable', 'the registry is closed');

type OpenedFile = { readonly file: RegistryFile; readonly alone: boolean };

/** A broker must come up on a full disk too, where consumers make room: then it is the only one that can use the registry. */
function openFile({ path, thread, writeWaitMs, log }: SqliteRegistryOptions): OpenedFile {
  try {
    return { file: RegistryFile.open(path, { writeWaitMs, check: thread !== false }), alone: false };
  } catch (error) {
    if (thread === false || !(error instanceof RegistryFailure) || !['full', 'unavailable'].includes(error.code)) throw error;
    const file = openAlone(path, writeWaitMs) ?? fail(error);
    log?.warn('other processes cannot use the registry until the next start', { why: error.message });
    return { file, alone: true };
  }
}

function openAlone(path: string, writeWaitMs: number | undefined): RegistryFile | undefined {
  try {
    return RegistryFile.open(path, { writeWaitMs, alone: true, check: true });
  } catch {
    // What was wrong at first is what its reader can do something about.
    return undefined;
  }
}

function fail(error: Error): never {
  throw error;
}
