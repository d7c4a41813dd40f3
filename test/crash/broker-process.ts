// A real broker on a real disk, to be killed and started again on the same data and the same port.

import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getJson } from '../../src/admin/admin-client.ts';
import { findLocalAccess } from '../../src/admin/local-access.ts';
import type { Status } from '../../src/admin/status.ts';
import type { DataReport } from '../../src/store/data-tools/check-data.ts';
import { freeListeners } from '../harness/free-listeners.ts';

const program = fileURLToPath(new URL('../../bin/heliograph.js', import.meta.url));

const names = ['mqtt', 'amqp', 'stomp', 'api', 'coap'] as const;
export type Ports = Readonly<Record<(typeof names)[number], number>>;

export type Place = {
  readonly directory: string;
  readonly data: string;
  /** Of MQTT. */
  readonly port: number;
  readonly ports: Ports;
  readonly log: WriteStream;
};

/** Small limits, so that checkpoints, the tidying of the log and payloads beyond the memory happen all the time. */
function configuration({ api, coap, ...ports }: Ports, shards: number): string {
  const open = Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, { port }]));
  return `
listeners: ${JSON.stringify({ ...freeListeners(['admin']), ...open, api: { kind: 'http-api', port: api }, coap: { port: coap, devOnly: false } })}
security: {anonymous: {enabled: true, roles: [application], listeners: [${names.join(', ')}]}}
store: {shards: ${shards}, walBytes: 1MiB, idleMs: 100}
broker:
  checkpointBytes: 1MiB
  payloadMemoryBytes: 1MiB
  expirySweepMs: 50
  durableInbox: {maxMessages: 1000000, maxBytes: 4GiB}
  sharedQueue: {maxMessages: 1000000, maxBytes: 4GiB}
  namedQueue: {maxMessages: 1000000, maxBytes: 4GiB}
`;
}

export async function newPlace(directory: string, shards: number): Promise<Place> {
  await mkdir(directory, { recursive: true });
  const [mqtt, amqp, stomp, api, coap] = await Promise.all([freePort(), freePort(), freePort(), freePort(), freePort()]);
  const ports = { mqtt, amqp, stomp, api, coap };
  await writeFile(join(directory, 'heliograph.yaml'), configuration(ports, shards));
  return {
    directory,
    data: join(directory, 'data'),
    port: mqtt,
    ports,
    log: createWriteStream(join(directory, 'broker.log'), { flags: 'a' }),
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

type End = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** One life of the broker. */
export class BrokerProcess {
  /** Resolves with the milliseconds until it let clients in; undefined: it ended before. */
  readonly ready: Promise<number | undefined>;
  readonly ended: Promise<End>;
  /** Said by the log: how long the recovery took. */
  recoveryMs: number | undefined;
  readonly #place: Place;
  readonly #process: ChildProcess;
  #isExpectedToEnd = false;

  constructor(place: Place, life: number, onUnexpectedEnd: (end: End) => void) {
    this.#place = place;
    place.log.write(`--- life ${life}\n`);
    const beganMs = performance.now();
    this.#process = spawn(
      process.execPath,
      [program, 'serve', '--config', join(place.directory, 'heliograph.yaml'), '--data', place.data],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    // Nothing stays behind when the run is cut short.
    const killAtExit = (): void => void this.#process.kill('SIGKILL');
    process.once('exit', killAtExit);
    this.#process.stdout!.on('data', (bytes: Buffer) => place.log.write(bytes));
    const ready = Promise.withResolvers<number | undefined>();
    this.ready = ready.promise;
    this.#readLog((line) => {
      if (line['event'] === 'recovered') this.recoveryMs = line['ms'] as number;
      if (line['event'] === 'listening' && line['listener'] === 'mqtt') ready.resolve(performance.now() - beganMs);
    });
    this.ended = new Promise((resolve) => {
      this.#process.on('close', (code, signal) => {
        process.off('exit', killAtExit);
        place.log.write(`--- ended with ${code ?? signal}\n`);
        ready.resolve(undefined);
        resolve({ code, signal });
        if (!this.#isExpectedToEnd) onUnexpectedEnd({ code, signal });
      });
    });
  }

  #readLog(take: (line: Record<string, unknown>) => void): void {
    let rest = '';
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#place.log.write(text);
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) if (line.startsWith('{')) take(JSON.parse(line) as Record<string, unknown>);
    });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#isExpectedToEnd = true;
    this.#process.kill('SIGKILL');
    await this.ended;
  }

  /** SIGTERM. */
  async stop(): Promise<End> {
    this.#isExpectedToEnd = true;
    this.#process.kill('SIGTERM');
    return this.ended;
  }
}

export async function statusOf({ data }: Place): Promise<Status> {
  const access = await findLocalAccess(data);
  if (access === undefined) throw new Error('the broker has not said where its management interface is');
  return (await getJson({ url: access.url, authorization: `Bearer ${access.token}` }, '/api/status')) as Status;
}

/** The sums over all labels of some metrics; undefined when the broker is not there. */
export async function metricsOf({ data }: Place, names: readonly string[]): Promise<Record<string, number> | undefined> {
  try {
    const [token, url] = await Promise.all(['admin-token', 'admin-url'].map((file) => readFile(join(data, file), 'utf8')));
    const headers = { authorization: `Bearer ${token!.trim()}` };
    const text = await (await fetch(`${url!.trim()}/metrics`, { headers, signal: AbortSignal.timeout(1000) })).text();
    const sums: Record<string, number> = {};
    for (const name of names) {
      sums[name] = 0;
      for (const [, value] of text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'gm'))) sums[name] += Number(value);
    }
    return sums;
  } catch {
    return undefined;
  }
}

/** What `heliograph data check` says. */
export async function checkDataOf({ data }: Place): Promise<DataReport & { readonly code: number | null }> {
  const child = spawn(process.execPath, [program, 'data', 'check', '--json', '--data', data], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  const code = await new Promise<number | null>((resolve) => {
    child.on('close', resolve);
  });
  return { ...(JSON.parse(text) as DataReport), code };
}
