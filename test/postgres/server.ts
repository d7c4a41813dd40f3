// A PostgreSQL server of its own for a suite: its data in a directory that goes with it, on a port that was free.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { unprivileged } from './binaries.ts';

const user = 'heliograph';
const password = 'not-a-secret';

export class PostgresServer {
  readonly port: number;
  readonly #binaries: string;
  readonly #directory: string;
  readonly #data: string;
  #process: ChildProcess | undefined;
  #said = '';

  private constructor(binaries: string, directory: string, port: number) {
    this.#binaries = binaries;
    this.#directory = directory;
    this.#data = join(directory, 'data');
    this.port = port;
  }

  static async start(binaries: string): Promise<PostgresServer> {
    const directory = mkdtempSync(join(tmpdir(), 'heliograph-postgres-'));
    const server = new PostgresServer(binaries, directory, await freePort());
    try {
      server.#initialize();
      await server.start();
    } catch (error) {
      await server.remove();
      throw error;
    }
    return server;
  }

  url(secret = password): string {
    return `postgresql://${user}:${secret}@127.0.0.1:${this.port}/postgres`;
  }

  /** Starts it, also after a stop. */
  async start(): Promise<void> {
    // What the server does about a loss of power is not what is tested here.
    const settings = ['listen_addresses=127.0.0.1', `unix_socket_directories=${this.#directory}`, 'fsync=off', 'max_connections=50'];
    const args = ['-D', this.#data, '-p', String(this.port), ...settings.flatMap((setting) => ['-c', setting])];
    const started = spawn(join(this.#binaries, 'postgres'), args, {
      cwd: this.#directory,
      stdio: ['ignore', 'ignore', 'pipe'],
      ...unprivileged(),
    });
    this.#process = started;
    started.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#said = (this.#said + text).slice(-4000)));
    while (!(await this.#answers())) {
      if (started.exitCode !== null) throw new Error(`PostgreSQL ended with ${started.exitCode}:\n${this.#said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends it at once, as an operator would; connections are cut. */
  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGINT');
    await ended;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Runs statements, with a connection of their own. */
  async run(text: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.url() });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows ?? [];
    } finally {
      await client.end();
    }
  }

  #initialize(): void {
    const owner = unprivileged();
    if (owner.uid !== undefined) chownSync(this.#directory, owner.uid, owner.gid!);
    const passwordFile = join(this.#directory, 'password');
    writeFileSync(passwordFile, password, { mode: 0o644 });
    // A language of its own, in whose order a is before B: the registry must not depend on it.
    const language = ['--encoding=UTF8', '--locale=C.UTF-8', '--locale-provider=icu', '--icu-locale=en'];
    const args = ['-D', this.#data, '-U', user, '--auth=scram-sha-256', `--pwfile=${passwordFile}`, ...language, '--no-sync'];
    const made = spawnSync(join(this.#binaries, 'initdb'), args, { cwd: this.#directory, encoding: 'utf8', ...owner });
    if (made.status !== 0) throw new Error(`initdb failed:\n${made.stdout}${made.stderr}`);
  }

  async #answers(): Promise<boolean> {
    const client = new Client({ connectionString: this.url(), connectionTimeoutMillis: 2_000 });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.end();
      return true;
    } catch {
      return false;
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
