// Connections to PostgreSQL, and how steps run on them.

import { Client, Pool, types, type ClientBase, type ClientConfig } from 'pg';
import type { Row, Steps, Value } from '../sql/statement.ts';
import { isWorthRetrying, postgresFailure } from './postgres-failure.ts';

export type PostgresConnection = {
  /** postgresql://user:password@host:port/database. Without `sslmode` in it, another machine is spoken to by TLS only. */
  readonly url: string;
  /** PEM of the authorities that may vouch for the server; the system's when absent. */
  readonly ca?: string | undefined;
  /** The PostgreSQL schema that holds the tables; made if it is not there. */
  readonly schema: string;
  readonly connections: number;
};

const connectMs = 5_000;
const statementMs = 15_000;
const transactionTries = 4;
/** Texts differ only by how many names are searched for or written: there are far fewer. */
const maxPrepared = 1_000;

/** Marks numbered as PostgreSQL wants them, and a name under which each connection keeps the text prepared. */
class PreparedTexts {
  readonly #known = new Map<string, { readonly text: string; readonly name?: string }>();

  of(text: string): { readonly text: string; readonly name?: string } {
    let prepared = this.#known.get(text);
    if (prepared === undefined) {
      let n = 0;
      const numbered = text.replaceAll('?', () => `$${++n}`);
      prepared = this.#known.size < maxPrepared ? { text: numbered, name: `heliograph_${this.#known.size}` } : { text: numbered };
      if (this.#known.size < maxPrepared) this.#known.set(text, prepared);
    }
    return prepared;
  }
}

export class Database {
  readonly #config: ClientConfig;
  readonly #pool: Pool;
  readonly #prepared = new PreparedTexts();

  constructor({ url, ca, schema, connections }: PostgresConnection) {
    if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) throw new RangeError(`the schema's name must be a-z, 0-9 and _: ${schema}`);
    this.#config = {
      connectionString: url,
      ...(speaksTls(url) && { ssl: { rejectUnauthorized: true, ...(ca !== undefined && { ca }) } }),
      application_name: 'heliograph',
      options: `-c search_path=${schema} -c statement_timeout=${statementMs}`,
      connectionTimeoutMillis: connectMs,
      // Above the server's own limit, for a server that is gone.
      query_timeout: statementMs + 5_000,
      keepAlive: true,
      types: { getTypeParser: parserOf },
    };
    this.#pool = new Pool({ ...this.#config, max: connections, idleTimeoutMillis: 60_000 });
    // An idle connection that is cut is replaced when it is needed.
    this.#pool.on('error', () => {});
  }

  /** A connection outside the pool, to listen on. @throws RegistryFailure */
  async connect(): Promise<Client> {
    const client = new Client(this.#config);
    client.on('error', () => {});
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => {});
      throw postgresFailure(error);
    }
  }

  /** Reads. @throws RegistryFailure */
  run<T>(steps: Steps<T>): Promise<T> {
    return this.#on(this.#pool, steps);
  }

  /** Runs `body` in a transaction, again when another one stood in its way. @throws RegistryFailure; then nothing was written */
  async transaction<T>(body: (run: <S>(steps: Steps<S>) => Promise<S>) => Promise<{ value: T; commit: boolean }>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const client = await this.#pool.connect().catch((error: unknown) => {
        throw postgresFailure(error);
      });
      let broken: boolean | undefined;
      try {
        await this.#execute(client, 'BEGIN');
        const { value, commit } = await body((steps) => this.#on(client, steps));
        await this.#execute(client, commit ? 'COMMIT' : 'ROLLBACK');
        return value;
      } catch (error) {
        broken = await client.query('ROLLBACK').then(
          () => false,
          () => true,
        );
        if (tries === transactionTries || !isWorthRetrying(error)) throw error;
      } finally {
        client.release(broken);
      }
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #on<T>(queries: Pool | ClientBase, steps: Steps<T>): Promise<T> {
    let step = steps.next();
    while (step.done !== true) step = steps.next(await this.#rows(queries, step.value.text, step.value.values));
    return step.value;
  }

  async #rows(queries: Pool | ClientBase, text: string, values: readonly Value[]): Promise<readonly Row[]> {
    try {
      return (await queries.query<Row>({ ...this.#prepared.of(text), values: [...values] })).rows;
    } catch (error) {
      throw postgresFailure(error);
    }
  }

  async #execute(client: ClientBase, text: string): Promise<void> {
    try {
      await client.query(text);
    } catch (error) {
      throw postgresFailure(error);
    }
  }
}

/** Whoever says how (sslmode) has decided; otherwise what leaves the machine is encrypted and the server proves itself. */
function speaksTls(url: string): boolean {
  const { hostname, searchParams } = new URL(url);
  if (searchParams.has('sslmode') || searchParams.has('host')) return false;
  return !['', 'localhost', '127.0.0.1', '[::1]'].includes(hostname) && !hostname.startsWith('%2F');
}

const int8 = 20;

/** Our numbers are all below 2^53. */
function parserOf(oid: number, format?: 'text' | 'binary'): unknown {
  return oid === int8 ? Number : types.getTypeParser(oid, format as 'text');
}
