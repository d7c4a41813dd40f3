// A broker in a process of its own, on free ports and a directory that goes with it.

import { spawn, type ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { UserError } from '../base/user-error.ts';
import { defaultListeners } from '../config/listener-kinds.ts';

const closed = Object.keys(defaultListeners).map((name) => [name, { enabled: false }]);
const listeners = { ...Object.fromEntries(closed), mqtt: { kind: 'tcp', host: '127.0.0.1', port: 0 } };

const configuration = `
log: { format: json }
listeners: ${JSON.stringify(listeners)}
`;

export class TemporaryBroker {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string, port: number) {
    this.#child = child;
    this.#directory = directory;
    this.port = port;
  }

  /** @throws UserError when it does not start */
  static async start(): Promise<TemporaryBroker> {
    const directory = await mkdtemp(join(tmpdir(), 'heliograph-bench-'));
    const config = join(directory, 'heliograph.yaml');
    await writeFile(config, configuration);
    const args = [process.argv[1]!, 'serve', '--dev', '--config', config, '--data', join(directory, 'data')];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    endTogether(child, directory);
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      lines.push(line);
      const port = portOf(line);
      if (port === undefined) continue;
      child.stderr.resume();
      return new TemporaryBroker(child, directory, port);
    }
    await rm(directory, { recursive: true, force: true });
    throw new UserError(`The temporary broker does not start: ${lines.join('\n')}`, { where: directory });
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      await ended;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Whatever ends this process but SIGKILL ends the broker too. */
function endTogether(child: ChildProcess, directory: string): void {
  process.once('exit', () => {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.once(signal, () => process.exit(128 + number));
  }
}

function portOf(line: string): number | undefined {
  if (!line.startsWith('{')) return undefined;
  const { event, listener, port } = JSON.parse(line) as { event?: string; listener?: string; port?: number };
  return event === 'listening' && listener === 'mqtt' ? port : undefined;
}
