// A child process whose lines of output can be waited for.

import { spawn } from 'node:child_process';

import type { ChildProcess } from 'node:child_process';

/** Those that still run: none may outlive us, however we end. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

type Waiter = { readonly fits: (line: string) => boolean; readonly resolve: (line: string) => void };

export class Child {
  readonly lines: string[] = [];
  readonly #process: ChildProcess;
  readonly #waiters = new Set<Waiter>();
  readonly #exited: Promise<number>;
  readonly #what: string;

  /** Output is line by line also where the program would buffer it. */
  constructor(command: string, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) {
    this.#what = [command, ...args].join(' ');
    this.#process = spawn('stdbuf', ['-oL', '-eL', command, ...args], { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    running.add(this.#process);
    this.#process.stdin!.on('error', () => {});
    this.#exited = new Promise((resolve) => {
      this.#process.on('error', (error) => {
        this.#line(String(error));
        resolve(-1);
      });
      this.#process.on('close', (code) => {
        running.delete(this.#process);
        resolve(code ?? -1);
      });
    });
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) this.#read(stream);
  }

  #read(stream: NodeJS.ReadableStream): void {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop()!;
      for (const part of parts) this.#line(part);
    });
    stream.on('end', () => {
      if (rest !== '') this.#line(rest);
    });
  }

  #line(line: string): void {
    this.lines.push(line);
    for (const waiter of this.#waiters) if (waiter.fits(line)) waiter.resolve(line);
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  write(text: string): void {
    this.#process.stdin!.write(text);
  }

  endInput(): void {
    this.#process.stdin!.end();
  }

  /** Resolves with the first line, earlier or later, that fits. Rejects when the process ends without it. */
  async waitFor(fits: RegExp | ((line: string) => boolean)): Promise<string> {
    const test = typeof fits === 'function' ? fits : (line: string): boolean => fits.test(line);
    const earlier = this.lines.find(test);
    if (earlier !== undefined) return earlier;
    let waiter: Waiter | undefined;
    const found = new Promise<string>((resolve) => {
      waiter = { fits: test, resolve };
      this.#waiters.add(waiter);
    });
    try {
      const result = await Promise.race([found, this.#exited]);
      if (typeof result === 'string') return result;
      const late = this.lines.find(test);
      if (late !== undefined) return late;
      throw new Error(`${this.#what}\nended with ${result} before ${String(fits)}:\n${this.tail()}`);
    } finally {
      this.#waiters.delete(waiter!);
    }
  }

  exit(): Promise<number> {
    return this.#exited;
  }

  /** Waits for the end, and throws unless the exit code is 0. */
  async success(): Promise<string[]> {
    const code = await this.#exited;
    if (code !== 0) throw new Error(`${this.#what}\nended with ${code}:\n${this.tail()}`);
    return this.lines;
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill(signal);
  }

  tail(): string {
    return this.lines.slice(-15).join('\n');
  }
}

/** Runs a command to its end; its exit code and output. */
export async function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<{ code: number; output: string }> {
  const child = new Child(command, args, options);
  child.endInput();
  const code = await child.exit();
  return { code, output: child.lines.join('\n') };
}
