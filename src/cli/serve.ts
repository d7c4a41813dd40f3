// heliograph serve: runs a node until it is told to stop.

import { Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../config.ts';
import type { HeliographNode } from '../node.ts';
import type { NodeLog } from './log.ts';
import { goOnWithoutReaders } from './closed-output.ts';
import { exitCodes } from './exit-codes.ts';

export type ServeOptions = {
  readonly config?: string;
  readonly data?: string;
  readonly dev?: boolean;
  readonly portOffset?: number;
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent';
};

export function serveCommand(): Command {
  return new Command('serve')
    .description('run a broker')
    .option('-c, --config <file>', 'YAML file; see "heliograph config defaults"')
    .option('-d, --data <dir>', 'directory of everything durable (default: ./data)')
    .option('--dev', 'for development: loopback only, anybody may do everything')
    .option('--port-offset <n>', 'shift every port by n (above 65535: on from 1024)', wholeNumber)
    .addOption(new Option('--log-level <level>', 'least important line to write').choices(['debug', 'info', 'warn', 'error', 'silent']))
    .addHelpText(
      'after',
      `
Without a configuration: data in ./data, a generated CA and server certificate, an admin credential printed once at the first
start, TLS on 8883 (MQTT), 5671 (AMQP) and 8084 (WebSocket) on all interfaces, plain 1883, 5672 and 8083 on loopback only and with
credentials.

Signals:
  SIGTERM, SIGINT  stop: no new connections, clients are told, everything is written; a second one stops at once
  SIGHUP           read certificates and the configuration again, and say what needs a restart`,
    )
    .action(serve);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('It must be a whole number.');
  return value;
}

async function serve(options: ServeOptions): Promise<void> {
  goOnWithoutReaders();
  const [{ loadConfig }, { withOverrides }, { createLog }, { HeliographNode }, { banner }] = await Promise.all([
    import('../config.ts'),
    import('../config/overrides.ts'),
    import('./log.ts'),
    import('../node.ts'),
    import('./banner.ts'),
  ]);
  const read = () => withOverrides(loadConfig(options.config), options);
  const config = read();
  const log = createLog({ node: config.node.name, ...config.log });
  process.once('exit', () => log.flush());
  process.on('uncaughtException', (error) => fatal(log, 'uncaughtException', error));
  process.on('unhandledRejection', (error) => fatal(log, 'unhandledRejection', error));

  // Before anything is made: a signal during a long start must not end the process half-way.
  const told = untilSignal(log);
  const dev = options.dev ?? false;
  if (dev) log.warn('--dev: anybody on this machine may read and write everything');
  const node = new HeliographNode({ config, log, dev, onFatal: (error) => fatal(log, 'fatal', error) });
  const started = node.start();
  reloadOnHangUp(node, read, log, started);
  try {
    await Promise.race([started, told]);
  } catch (error) {
    // The credential of a first start that failed half-way would be lost otherwise.
    process.stdout.write(banner(node, { dev, onlySecrets: true }));
    throw error;
  }
  if (node.listeners.length > 0) {
    process.stdout.write(banner(node, { dev, onlySecrets: config.log.format === 'json' }));
    for (const { name, kind, host, port } of node.listeners) log.info('listening', { listener: name, kind, host, port });
  }

  const signal = await told;
  log.info('stopping', { signal, withinMs: node.config.node.shutdownTimeoutMs });
  const clean = await node.stop();
  log.info('stopped', { clean });
  log.flush();
  // Nothing may keep the process alive now: a worker or a socket that was cut short would.
  process.exit(clean ? exitCodes.ok : exitCodes.failed);
}

/** SIGHUP reads everything again, one time after the other, and not before the node has started. */
function reloadOnHangUp(node: HeliographNode, read: () => Config, log: NodeLog, started: Promise<void>): void {
  let last = started.catch(() => {});
  process.on('SIGHUP', () => {
    last = last.then(() => reload(node, read, log));
  });
}

async function reload(node: HeliographNode, read: () => Config, log: NodeLog): Promise<void> {
  try {
    const changes = await node.reload(read());
    log.setLevel(node.config.log.level);
    log.info('reloaded', { changes: changes.filter((change) => change.live).length });
    for (const { path, live } of changes) {
      if (live) log.info('setting changed', { path });
      else log.warn('setting needs a restart', { path });
    }
  } catch (error) {
    log.error('not reloaded: everything stays as it was', { error: (error as Error).message });
  }
}

/** npm passes on a Ctrl-C that the terminal has sent to this process as well: that is one signal, not two. */
const sameSignalMs = 500;

/** Resolves at the first SIGTERM or SIGINT. The second one ends the process at once. */
function untilSignal(log: NodeLog): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first: { readonly signal: NodeJS.Signals; readonly atMs: number } | undefined;
    for (const [signal, number] of [
      ['SIGINT', 2],
      ['SIGTERM', 15],
    ] as const) {
      process.on(signal, () => {
        const nowMs = performance.now();
        if (first === undefined) {
          first = { signal, atMs: nowMs };
          resolve(signal);
          return;
        }
        if (first.signal === signal && nowMs - first.atMs < sameSignalMs) return;
        log.error('stopped at once by a second signal', { signal });
        log.flush();
        process.exit(128 + number);
      });
    }
  });
}

/** A broken invariant stops the process: going on could lose more than a restart, because the state is on the disk. */
function fatal(log: NodeLog, kind: string, reason: unknown): never {
  // A journal that failed is the disk's fault and has been told; the rest are bugs.
  const isBug = !(reason instanceof Error && reason.name === 'JournalError');
  const stack = reason instanceof Error ? reason.stack : String(reason);
  log.error('the node cannot go on; what was acknowledged is on the disk', { kind, stack });
  log.flush();
  process.exit(isBug ? exitCodes.bug : exitCodes.failed);
}
