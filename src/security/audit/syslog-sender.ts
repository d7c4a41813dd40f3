// Sends entries to a syslog server as they are written: over TLS (RFC 5425) or TCP, one connection that is made again when it is
// lost. What the server cannot take waits, up to a bound; the log on the disk stays the record.

import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Log } from '../../base/log.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import type { EntryLine } from './audit-line.ts';
import { syslogMessage } from './syslog-format.ts';

export type SyslogTarget = {
  readonly transport: 'tls' | 'tcp';
  readonly host: string;
  readonly port: number;
  /** PEM: who may certify the server; undefined: the system's authorities. */
  readonly ca: string | undefined;
};

export type SyslogOptions = SyslogTarget & {
  /** Name of this machine. */
  readonly hostname: string;
  readonly maxWaiting: number;
  readonly retryMs: number;
};

export class SyslogSender implements MetricSource {
  readonly #options: SyslogOptions;
  readonly #log: Log;
  #waiting: string[] = [];
  #socket: Socket | undefined;
  #ready = false;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  #wasReachable = true;
  readonly #counts = { sent: 0, dropped: 0 };

  constructor(options: SyslogOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    this.#connect();
  }

  send(entry: EntryLine): void {
    if (this.#waiting.length >= this.#options.maxWaiting) {
      this.#counts.dropped++;
      return;
    }
    const message = syslogMessage(entry, { hostname: this.#options.hostname, processId: process.pid });
    // Octet counting (RFC 5425 §4.3).
    this.#waiting.push(`${Buffer.byteLength(message)} ${message}`);
    this.#flush();
  }

  /** What waits gets until the deadline to leave. */
  async close(deadlineMs: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    const socket = this.#socket;
    if (socket === undefined) return;
    await new Promise<void>((resolve) => {
      const cut = setTimeout(() => socket.destroy(), Math.max(0, deadlineMs - performance.now()));
      socket.once('close', () => {
        clearTimeout(cut);
        resolve();
      });
      if (this.#ready) socket.end();
      else socket.destroy();
    });
  }

  #connect(): void {
    const { transport, host, port, ca } = this.#options;
    const socket =
      transport === 'tls' ? connectTls({ host, port, servername: host, ...(ca !== undefined && { ca }) }) : connectTcp({ host, port });
    this.#socket = socket;
    socket.unref();
    socket.once(transport === 'tls' ? 'secureConnect' : 'connect', () => {
      this.#ready = true;
      if (!this.#wasReachable) this.#log.info('audit.syslog.resumed', { host, port });
      this.#wasReachable = true;
      this.#flush();
    });
    socket.on('drain', () => this.#flush());
    // The server has nothing to say.
    socket.on('data', () => {});
    socket.on('error', (error) => {
      if (this.#wasReachable) this.#log.warn('audit.syslog.unreachable', { host, port, error: error.message });
      this.#wasReachable = false;
    });
    socket.once('close', () => {
      this.#ready = false;
      this.#socket = undefined;
      if (this.#closed) return;
      this.#retry = setTimeout(() => this.#connect(), this.#options.retryMs).unref();
    });
  }

  #flush(): void {
    while (this.#ready && this.#waiting.length > 0 && !this.#socket!.writableNeedDrain) {
      const batch = this.#waiting.splice(0, 256);
      this.#counts.sent += batch.length;
      this.#socket!.write(batch.join(''));
    }
  }

  *metrics(): Iterable<Sample> {
    const name = 'heliograph_audit_syslog';
    yield {
      name: `${name}_sent_total`,
      help: 'Audit entries written to the syslog connection.',
      type: 'counter',
      value: this.#counts.sent,
    };
    yield {
      name: `${name}_dropped_total`,
      help: 'Audit entries not sent to syslog because too many waited.',
      type: 'counter',
      value: this.#counts.dropped,
    };
    yield { name: `${name}_waiting`, help: 'Audit entries that wait for the syslog server.', type: 'gauge', value: this.#waiting.length };
  }
}
