// Runs the real command line in a process of its own.

import { spawn, type ChildProcess } from 'node:child_process';
import { connect as tlsConnect, type PeerCertificate } from 'node:tls';
import { fileURLToPath } from 'node:url';

export const ownBin = fileURLToPath(new URL('../../bin/heliograph.js', import.meta.url));

export type Result = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** Runs a command to its end. */
export function runCli(args: readonly string[], input = ''): Promise<Result> {
  const child = start(args, ownBin);
  child.stdin!.end(input);
  return outcome(child);
}

/** Runs a command whose standard output is closed at once. */
export function runCliUnread(args: readonly string[]): Promise<Result> {
  const child = start(args, ownBin);
  child.stdin!.end();
  const result = outcome(child);
  child.stdout!.destroy();
  return result;
}

/** Runs Node itself to its end. */
export function runNode(args: readonly string[]): Promise<Result> {
  const child = start(args, undefined);
  child.stdin!.end();
  return outcome(child);
}

function start(args: readonly string[], bin: string | undefined, more: NodeJS.ProcessEnv = {}): ChildProcess {
  // The test runner's own settings must not reach the process.
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  return spawn(process.execPath, bin === undefined ? [...args] : [bin, ...args], { env: { ...env, ...more }, stdio: 'pipe' });
}

function outcome(child: ChildProcess): Promise<Result> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

/** A running `heliograph serve`. Every wait ends when the process does. */
export class Served {
  readonly lines: LogLine[] = [];
  readonly ended: Promise<Result>;
  readonly #child: ChildProcess;
  readonly #waiters = new Set<() => void>();
  #rest = '';
  #stdout = '';
  #over: Result | undefined;

  /** `before`: options of Node itself; `environment`: variables beside our own. */
  constructor(args: readonly string[], bin = ownBin, before: readonly string[] = [], environment: NodeJS.ProcessEnv = {}) {
    this.#child = start([...before, bin, 'serve', ...args], undefined, environment);
    this.#child.stdin!.end();
    this.#child.stderr!.on('data', (text: string) => this.#take(text));
    this.#child.stdout!.on('data', (text: string) => {
      this.#stdout += text;
      this.#wake();
    });
    this.ended = this.#untilEnd();
  }

  async #untilEnd(): Promise<Result> {
    this.#over = await outcome(this.#child);
    this.#wake();
    return this.#over;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The first line of the log that `matches` accepts, now or later. */
  async line(matches: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const found = this.lines.find(matches);
      if (found !== undefined) return found;
      if (this.#over !== undefined) throw new Error(`serve ended with ${this.#over.code}:\n${this.#over.stdout}${this.#over.stderr}`);
      await this.#news();
    }
  }

  #news(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve));
  }

  /** The port that a listener got. */
  async port(listener: string): Promise<number> {
    return (await this.line((line) => line.event === 'listening' && line['listener'] === listener))['port'] as number;
  }

  /** The password of the administrator that a first start makes. */
  async adminPassword(): Promise<string> {
    await this.line((line) => line.event === 'listening');
    for (;;) {
      const found = /user admin, password (\S+)/.exec(this.#stdout)?.[1];
      if (found !== undefined) return found;
      if (this.#over !== undefined) throw new Error(`serve printed no password:\n${this.#over.stdout}`);
      await this.#news();
    }
  }

  /** The certificate that a TLS listener shows. */
  async certificate(listener: string): Promise<PeerCertificate> {
    const socket = tlsConnect({ port: await this.port(listener), host: '127.0.0.1', rejectUnauthorized: false });
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const certificate = socket.getPeerCertificate();
    socket.destroy();
    return certificate;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** For the end of a test: nothing stays behind, whatever happened. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) if (line.startsWith('{')) this.lines.push(JSON.parse(line) as LogLine);
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }
}
