// Hears from PostgreSQL that something has changed, so that it is not asked all the time. A connection of its own; when it is cut, it
// is made again at the next look, and until then the looks alone have to do.

import type { Client } from 'pg';
import type { Database } from './database.ts';

export class NotificationListener {
  readonly #database: Database;
  readonly #channel: string;
  readonly #heard: () => void;
  #client: Client | undefined;
  #connecting: Promise<void> | undefined;
  #wanted = true;

  constructor(database: Database, channel: string, heard: () => void) {
    this.#database = database;
    this.#channel = channel;
    this.#heard = heard;
  }

  /** Connects, if it is not connected. Never rejects: who listens in vain still looks. */
  ensure(): Promise<void> {
    if (!this.#wanted || this.#client !== undefined) return Promise.resolve();
    return (this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined)));
  }

  async close(): Promise<void> {
    this.#wanted = false;
    await this.#connecting;
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => {});
  }

  async #connect(): Promise<void> {
    const client = await this.#database.connect().catch(() => undefined);
    if (client === undefined) return;
    client.on('end', () => {
      if (this.#client === client) this.#client = undefined;
    });
    client.on('notification', () => this.#heard());
    try {
      await client.query(`LISTEN ${this.#channel}`);
      this.#client = client;
      // What changed until now was told to nobody.
      this.#heard();
    } catch {
      await client.end().catch(() => {});
    }
  }
}
