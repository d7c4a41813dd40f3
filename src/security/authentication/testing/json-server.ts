// An HTTP server on this machine that answers as a test says, and remembers what it was asked.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { atEnd } from '../../../../test/contracts/temporary-journal.ts';

export type Asked = { readonly path: string; readonly method: string; readonly headers: IncomingMessage['headers']; readonly body: string };
type Answers = (asked: Asked, response: ServerResponse) => unknown;

export class JsonServer {
  readonly asked: Asked[] = [];
  readonly url: string;
  /** What it returns is sent as JSON with status 200; undefined: it has answered itself, or never will. */
  answer: Answers;

  private constructor(url: string, answer: Answers) {
    this.url = url;
    this.answer = answer;
  }

  static async start(t: TestContext, answer: Answers): Promise<JsonServer> {
    const server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => void pieces.push(piece));
      request.on('end', () => {
        const { url = '', method = '', headers } = request;
        const asked = { path: url, method, headers, body: Buffer.concat(pieces).toString() };
        started.asked.push(asked);
        const value = started.answer(asked, response);
        if (value === undefined) return;
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(value));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    atEnd(t, async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    });
    const started = new JsonServer(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, answer);
    return started;
  }
}
