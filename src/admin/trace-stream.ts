// One operator's view of one client: a line of JSON per packet, or server-sent events for who asks for them. Ends when the
// operator leaves or the node stops.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { beginStream, sendProblem } from './answer.ts';
import type { TraceHub, TraceLine } from './trace-hub.ts';

/** What may wait for a slow operator before lines are left out. */
const maxWaitingBytes = 256 * 1024;
/** Something is sent at least this often, so that an operator that vanished is noticed. */
const heartbeatMs = 15_000;
const maxClientIdLength = 65_535;

export class TraceStreams {
  readonly #hub: TraceHub;
  readonly #open = new Set<{ readonly response: ServerResponse; readonly beat: string }>();
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(hub: TraceHub) {
    this.#hub = hub;
  }

  serve(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    if (request.method !== 'GET') return sendProblem(response, 405, 'Only GET is possible here.', { Allow: 'GET' });
    const [clientId = '', ...more] = query.getAll('client');
    if (clientId === '' || more.length > 0 || clientId.length > maxClientIdLength) {
      return sendProblem(response, 400, 'Name one client: /api/trace?client=ID');
    }
    const asEvents = request.headers.accept?.includes('text/event-stream') === true;
    const write = (value: object): boolean => {
      if (response.writableLength > maxWaitingBytes) return false;
      response.write(asEvents ? `data: ${JSON.stringify(value)}\n\n` : `${JSON.stringify(value)}\n`);
      return true;
    };
    const stop = this.#hub.watch(clientId, (line: TraceLine) => write(line));
    if (stop === undefined) return sendProblem(response, 503, 'Too many clients are being watched.', { 'Retry-After': '10' });
    const entry = { response, beat: asEvents ? ':\n\n' : '\n' };
    response.once('close', () => {
      stop();
      this.#remove(entry);
    });
    this.#add(entry);
    beginStream(response, asEvents ? 'text/event-stream' : 'application/x-ndjson');
    write({ watching: clientId });
  }

  /** Ends all streams. */
  close(): void {
    for (const { response } of this.#open) response.end();
  }

  #add(entry: { readonly response: ServerResponse; readonly beat: string }): void {
    this.#open.add(entry);
    this.#heartbeat ??= setInterval(() => {
      for (const { response, beat } of this.#open) if (response.writableLength === 0) response.write(beat);
    }, heartbeatMs).unref();
  }

  #remove(entry: { readonly response: ServerResponse; readonly beat: string }): void {
    this.#open.delete(entry);
    if (this.#open.size > 0) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }
}
