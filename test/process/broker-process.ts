// The broker as a process of its own, and what an operator can learn of it from outside.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Served, type Result } from '../cli/run-cli.ts';

import type { Status } from '../../src/admin/status.ts';
import type { CheckContext } from '../interop/checks.ts';
import { freeListeners } from '../harness/free-listeners.ts';

/** What connections and the journal may take to finish after SIGTERM. */
export const shutdownMs = 4000;

const anyPorts = `
node: {shutdownTimeoutMs: ${shutdownMs}}
listeners: ${JSON.stringify(freeListeners())}
`;

export type BrokerSettings = {
  /** YAML, beside the listeners. */
  readonly settings?: string;
  /** Default: one that goes with the check. */
  readonly data?: string;
  /** Options of Node itself. */
  readonly before?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
};

/** A directory that goes with the check. */
export function temporaryDirectory(context: CheckContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-process-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export class BrokerProcess {
  readonly served: Served;
  readonly data: string;
  readonly configFile: string;
  port = 0;
  #adminPort = 0;

  private constructor(served: Served, data: string, configFile: string) {
    this.served = served;
    this.data = data;
    this.configFile = configFile;
  }

  /** Runs until the check ends, at most; not necessarily until it listens. */
  static launch(context: CheckContext, { settings = '', data, before = [], environment = {} }: BrokerSettings = {}): BrokerProcess {
    const directory = temporaryDirectory(context);
    const configFile = join(directory, 'heliograph.yaml');
    const dataDirectory = data ?? join(directory, 'data');
    writeFileSync(configFile, anyPorts + settings);
    const served = new Served(['--dev', '--config', configFile, '--data', dataDirectory], undefined, before, environment);
    context.after(() => served.kill());
    return new BrokerProcess(served, dataDirectory, configFile);
  }

  /** A broker that listens. */
  static async start(context: CheckContext, settings: BrokerSettings = {}): Promise<BrokerProcess> {
    const broker = BrokerProcess.launch(context, settings);
    await broker.listening();
    return broker;
  }

  async listening(): Promise<void> {
    this.port = await this.served.port('mqtt');
    this.#adminPort = await this.served.port('admin');
  }

  /** Writes the configuration anew and sends SIGHUP. */
  reload(settings: string): void {
    writeFileSync(this.configFile, anyPorts + settings);
    this.served.signal('SIGHUP');
  }

  /** SIGTERM; the end must be in order. */
  async stop(): Promise<void> {
    this.served.signal('SIGTERM');
    const { code, stderr } = await this.served.ended;
    assert.equal(code, 0, `the broker ended with ${code}:\n${stderr.slice(-2000)}`);
  }

  /** As it would by a loss of power, as far as a process can. */
  async crash(): Promise<Result> {
    await this.served.kill();
    return this.served.ended;
  }

  // -- seen from outside

  async status(): Promise<Status & { ledger: { imbalance: number } }> {
    const { code, text } = await this.get('/api/status');
    assert.equal(code, 200, text);
    return JSON.parse(text) as Status & { ledger: { imbalance: number } };
  }

  async ready(): Promise<{ code: number; reasons: readonly string[] }> {
    const { code, text } = await this.get('/readyz');
    return { code, reasons: (JSON.parse(text) as { reasons: string[] }).reasons };
  }

  async metrics(): Promise<Metrics> {
    const { code, text } = await this.get('/metrics');
    assert.equal(code, 200, text);
    return new Metrics(text);
  }

  /** The status and the metrics say the same, and the books add up. */
  async books(): Promise<Status['ledger']> {
    const { ledger } = await this.status();
    const { imbalance, accepted, recovered, delivered, queued, expired, dropped } = ledger;
    const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0);
    assert.equal(accepted + recovered, delivered + queued + expired + lost, `the books do not add up: ${JSON.stringify(ledger)}`);
    assert.equal(imbalance, 0);
    return ledger;
  }

  /** Bytes that the process holds of the machine's memory. */
  residentBytes(): number {
    return kilobytes(this.served.pid, 'VmRSS') * 1024;
  }

  /** File descriptors. */
  openFiles(): number {
    return readdirSync(`/proc/${this.served.pid}/fd`).length;
  }

  get(path: string): Promise<{ code: number; text: string }> {
    return new Promise((resolve, reject) => {
      const asked = request({ port: this.#adminPort, host: '127.0.0.1', path, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve({ code: response.statusCode!, text }));
      });
      asked.on('error', reject);
      asked.end();
    });
  }
}

function kilobytes(pid: number, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

/** What `/metrics` said at one moment. */
export class Metrics {
  readonly #samples: { readonly name: string; readonly labels: string; readonly value: number }[] = [];

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (match !== null) this.#samples.push({ name: match[1]!, labels: match[2] ?? '', value: Number(match[3]) });
    }
  }

  /** The sum of all samples of this name whose labels are these among others. A metric that is not there is an error. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    const named = this.#samples.filter((sample) => sample.name === name);
    assert.ok(named.length > 0, `there is no metric ${name}`);
    const found = named.filter((sample) => wanted.every((label) => `,${sample.labels},`.includes(`,${label},`)));
    return found.reduce((sum, { value }) => sum + value, 0);
  }
}
