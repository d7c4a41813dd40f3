// The brokers that are measured: ours, and every peer that this machine has or can get.

import { execFileSync, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { connect, createServer, type AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { artemis, rabbitmq } from './amqp-brokers.ts';
import { bareSocket, libcoap, nodeCoap } from './coap-brokers.ts';
import { makeCertificates, type Certificates } from './certificates.ts';
import { binDirectory } from './generators.ts';
import { hasProgram, pinned, start } from './machine.ts';
import { freeListeners } from '../test/harness/free-listeners.ts';

const root = join(import.meta.dirname, '..');
const startLimitMs = 120_000;
const stopLimitMs = 30_000;

/** `mutual`: TLS that wants a client certificate. `coap`: UDP; DTLS is on the port behind. */
export type Ports = { readonly plain: number; readonly tls: number; readonly mutual: number; readonly amqp: number; readonly coap: number };

/** How a broker wants to be spoken to in AMQP 1.0: arguments of amqpload, and addresses with %d for a number. */
export type AmqpDialect = {
  readonly options: readonly string[];
  readonly topic: readonly string[];
  /** A queue that keeps durable messages on disk. */
  readonly queue: (name: string) => { readonly sender: readonly string[]; readonly receiver: readonly string[] };
  /** Why its receivers cannot settle second; absent: they can. */
  readonly noSecond?: string;
  /** It sends more than it was given credit for, which is a fault in the others. */
  readonly exceedsCredit?: boolean;
};

/** How a server wants to be spoken to in CoAP. */
export type CoapDialect = {
  /** Arguments of coapload: what is published to, and by which method. */
  readonly target: readonly (string | number)[];
  readonly hasDtls: boolean;
  readonly canBeObserved: boolean;
  /** Of a device that may come in. `directory`: that of the server, which runs. */
  readonly preSharedKey?: (directory: string) => { readonly identity: string; readonly keyHex: string };
};

export type Broker = {
  readonly name: string;
  readonly version: string;
  /** So far from the others that one run says it. */
  readonly once?: boolean;
  /** Absent: it does not speak AMQP 1.0. */
  readonly amqp?: AmqpDialect;
  /** AMQP is all it speaks here. */
  readonly onlyAmqp?: boolean;
  /** Absent: it does not speak CoAP. */
  readonly coap?: CoapDialect;
  readonly onlyCoap?: boolean;
  /** Ends what outlives the process. */
  cleanUp?(ports: Ports): void;
  /** The command that serves on these ports and keeps everything it writes in `directory`. */
  command(directory: string, ports: Ports, certificates: Certificates): readonly string[];
};

const bin = join(root, 'bin', 'heliograph.js');

/** One of our commands to our broker that runs. */
function run(directory: string, ...args: readonly string[]): string {
  return execFileSync(process.execPath, [bin, ...args, '--data', join(directory, 'data')], { encoding: 'utf8' });
}

const heliograph: Broker = {
  name: 'heliograph',
  version: (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version,
  amqp: {
    options: [],
    topic: ['-a', 'bench/%d/data', '-A', 'bench/%d/data'],
    queue: (name) => ({ sender: ['-a', `queue:${name}`], receiver: ['-A', `queue:${name}`] }),
  },
  coap: {
    target: ['-P', 't/bench/x'],
    hasDtls: true,
    canBeObserved: true,
    preSharedKey(directory) {
      run(directory, 'device', 'add', 'bench-psk', '--role', 'application', '--out', join(directory, 'bench-psk'));
      return { identity: 'main/bench-psk', keyHex: /[0-9a-f]{64}/.exec(run(directory, 'device', 'psk', 'bench-psk'))![0] };
    },
  },
  command(directory, { plain, tls, mutual, amqp, coap }, { authority, serverCertificate, serverKey }) {
    const config = join(directory, 'heliograph.yaml');
    const at = (kind: string, port: number) => ({ kind, host: '127.0.0.1', port });
    const listeners = {
      ...freeListeners(['admin']),
      mqtt: at('tcp', plain),
      mqtts: at('tls', tls),
      mutual: { ...at('tls', mutual), clientCertificate: 'require' },
      amqp: at('amqp', amqp),
      coap: at('coap', coap),
      coaps: { ...at('coaps', coap + 1), psk: true, clientCertificate: 'request' },
    };
    writeFileSync(
      config,
      [
        `listeners: ${JSON.stringify(listeners)}`,
        // All devices of the bench have one address, and most of them one identity.
        'dtls: { maxSessionsPerPeer: 1000000, handshakesPerSecondPerAddress: 0, maxPendingHandshakesPerAddress: 10000 }',
        'tls:',
        `  clientCaFile: ${authority}`,
        '  certificates:',
        `    - { certificateFile: ${serverCertificate}, privateKeyFile: ${serverKey} }`,
        '',
      ].join('\n'),
    );
    return [process.execPath, bin, 'serve', '--dev', '--config', config, '--data', join(directory, 'data'), '--log-level', 'error'];
  },
};

/** Without its limits, which would make it drop what it is slow to send, and without its persistence, which is not durable. */
function mosquitto(): Broker | undefined {
  const program = hasProgram('mosquitto') ? 'mosquitto' : '/usr/sbin/mosquitto';
  if (!hasProgram(program)) return undefined;
  const version = /version (\S+)/.exec(spawnSync(program, ['-h'], { encoding: 'utf8' }).stdout)?.[1] ?? 'unknown';
  return {
    name: 'mosquitto',
    version,
    command(directory, { plain, mutual }, { authority, serverCertificate, serverKey }) {
      const config = join(directory, 'mosquitto.conf');
      const settings = ['allow_anonymous true', 'max_inflight_messages 0', 'max_queued_messages 0', 'persistence false', 'user root'];
      const tls = [`cafile ${authority}`, `certfile ${serverCertificate}`, `keyfile ${serverKey}`, 'require_certificate true'];
      const secure = [`listener ${mutual} 127.0.0.1`, ...tls, 'use_identity_as_username true'];
      writeFileSync(config, [`listener ${plain} 127.0.0.1`, ...settings, ...secure, ''].join('\n'));
      return [program, '-c', config];
    },
  };
}

const aedesVersion = '1.2.0';

/** From npm, into a directory that is not the project's. */
function aedes(): Broker | undefined {
  const directory = join(binDirectory, 'aedes');
  if (!existsSync(join(directory, 'node_modules', 'aedes'))) {
    mkdirSync(directory, { recursive: true });
    const install = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--prefix', directory, `aedes@${aedesVersion}`]);
    if (install.status !== 0) return undefined;
  }
  const program = join(directory, 'serve.mjs');
  writeFileSync(
    program,
    [
      "import { createServer } from 'node:net';",
      "import { Aedes } from 'aedes';",
      'const broker = await Aedes.createBroker();',
      "createServer(broker.handle).listen(Number(process.argv[2]), '127.0.0.1');",
      '',
    ].join('\n'),
  );
  return { name: 'aedes', version: aedesVersion, once: true, command: (_, { plain }) => [process.execPath, program, String(plain)] };
}

/** With the durability it has by default: it flushes every two minutes. */
function nats(): Broker | undefined {
  const installed = join(homedir(), 'go', 'bin', 'nats-server');
  const program = hasProgram('nats-server') ? 'nats-server' : existsSync(installed) ? installed : undefined;
  if (program === undefined) return undefined;
  const version = /v(\S+)/.exec(execFileSync(program, ['-v'], { encoding: 'utf8' }))?.[1] ?? 'unknown';
  return {
    name: 'nats',
    version,
    command(directory, { plain, tls }) {
      const config = join(directory, 'nats.conf');
      const store = join(directory, 'store');
      const lines = [
        'server_name: bench',
        `listen: 127.0.0.1:${tls}`,
        `jetstream { store_dir: "${store}" }`,
        `mqtt { listen: "127.0.0.1:${plain}" }`,
      ];
      writeFileSync(config, `${lines.join('\n')}\n`);
      return [program, '-c', config];
    },
  };
}

/** Ours first. */
export function findBrokers(only: readonly string[]): Broker[] {
  const wanted = (name: string): boolean => only.length === 0 || only.includes(name);
  const peers = [
    wanted('mosquitto') && mosquitto(),
    wanted('nats') && nats(),
    wanted('aedes') && aedes(),
    wanted('rabbitmq') && rabbitmq(),
    wanted('artemis') && artemis(),
    wanted('libcoap') && libcoap(),
    wanted('coap of npm') && nodeCoap(),
    wanted('node:dgram') && bareSocket(),
  ];
  return [heliograph, ...peers.filter((peer) => peer !== undefined && peer !== false)];
}

/** Those of brokers that run. */
const directories = new Set<string>();
process.once('exit', () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

export class BrokerFailed extends Error {}

/** A broker that runs, with a directory of its own. */
export class RunningBroker {
  readonly broker: Broker;
  readonly ports: Ports;
  readonly certificates: Certificates;
  /** Everything that it writes is in there. */
  readonly directory: string;
  readonly #core: number | undefined;
  #child: ChildProcess;
  #output = '';
  #ended = false;

  private constructor(broker: Broker, core: number | undefined, directory: string, ports: Ports) {
    this.broker = broker;
    this.ports = ports;
    this.certificates = makeCertificates(directory);
    this.#core = core;
    this.directory = directory;
    this.#child = this.#spawn();
  }

  /** @throws BrokerFailed */
  static async start(broker: Broker, core: number | undefined): Promise<RunningBroker> {
    const directory = mkdtempSync(join(tmpdir(), 'heliograph-bench-'));
    directories.add(directory);
    const running = new RunningBroker(broker, core, directory, {
      plain: await freePort(),
      tls: await freePort(),
      mutual: await freePort(),
      amqp: await freePort(),
      coap: await freeDatagramPorts(),
    });
    try {
      await running.#untilServing();
    } catch (error) {
      await running.stop();
      throw error;
    }
    return running;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** The end of what it printed. */
  get lastWords(): string {
    return this.#output.trim().split('\n').slice(-3).join(' ');
  }

  /** Kills it without warning and starts it again on its data. Returns the seconds from the start until it serves. */
  async crashAndRestart(): Promise<number> {
    await this.#kill('SIGKILL');
    const startMs = performance.now();
    this.#child = this.#spawn();
    await this.#untilServing();
    return (performance.now() - startMs) / 1000;
  }

  async stop(): Promise<void> {
    await this.#kill('SIGTERM');
    this.broker.cleanUp?.(this.ports);
    rmSync(this.directory, { recursive: true, force: true });
    directories.delete(this.directory);
  }

  #spawn(): ChildProcess {
    const child = start(pinned(this.#core, this.broker.command(this.directory, this.ports, this.certificates)), ['ignore', 'pipe', 'pipe']);
    this.#ended = false;
    const note = (text: Buffer): void => void (this.#output = (this.#output + text.toString()).slice(-4000));
    child.stdout!.on('data', note);
    child.stderr!.on('data', note);
    child.on('error', (error) => note(Buffer.from(error.message)));
    child.on('close', () => {
      if (child === this.#child) this.#ended = true;
    });
    return child;
  }

  async #kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (this.#ended || child.pid === undefined) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
    await closed;
    clearTimeout(timer);
  }

  async #untilServing(): Promise<void> {
    const untilMs = performance.now() + startLimitMs;
    while (performance.now() < untilMs && !this.#ended) {
      // Listeners open one after the other.
      const awaitsMqtt = this.broker.onlyAmqp !== true && this.broker.onlyCoap !== true && !(await accepts(this.ports.plain));
      const awaitsAmqp = this.broker.amqp !== undefined && !(await accepts(this.ports.amqp));
      const awaitsCoap = this.broker.coap !== undefined && !(await answersPing(this.ports.coap));
      if (!awaitsMqtt && !awaitsAmqp && !awaitsCoap) return;
      await wait(5);
    }
    throw new BrokerFailed(`${this.broker.name} does not serve: ${this.lastWords}`);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const pingLimitMs = 100;

/** An empty confirmable message is answered by a Reset (RFC 7252 §4.3). */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const end = (answered: boolean): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answered);
    };
    const timer = setTimeout(() => end(false), pingLimitMs);
    socket.once('message', () => end(true));
    // Nobody is at the port.
    socket.once('error', () => end(false));
    socket.connect(port, '127.0.0.1', () => socket.send(Uint8Array.of(0x40, 0, 0x12, 0x34)));
  });
}

/** The first of two that follow each other. */
async function freeDatagramPorts(): Promise<number> {
  for (;;) {
    const first = await boundSocket(0);
    const { port } = first!.address();
    const second = await boundSocket(port + 1);
    first!.close();
    second?.close();
    if (second !== undefined) return port;
  }
}

function boundSocket(port: number): Promise<ReturnType<typeof createSocket> | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => {
      socket.close();
      resolve(undefined);
    });
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve(socket));
  });
}
