// How the management interface answers: JSON, and for what went wrong a problem document (RFC 9457).

import { STATUS_CODES } from 'node:http';
import type { ServerResponse } from 'node:http';

const always = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' };

export function sendText(
  response: ServerResponse,
  status: number,
  contentType: string,
  text: string,
  more: Record<string, string> = {},
): void {
  const body = Buffer.from(text);
  response.writeHead(status, { ...always, 'Content-Type': contentType, 'Content-Length': body.length, ...more });
  // The length is told for HEAD as well, the body is not sent: node:http sees to that.
  response.end(body);
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendText(response, status, 'application/json', `${JSON.stringify(value)}\n`);
}

/** `detail` is for people and never repeats what the peer sent. */
export function sendProblem(response: ServerResponse, status: number, detail: string, more: Record<string, string> = {}): void {
  const problem = { title: STATUS_CODES[status], status, detail };
  sendText(response, status, 'application/problem+json', `${JSON.stringify(problem)}\n`, more);
}

/** Begins an answer that goes on until one side ends it. */
export function beginStream(response: ServerResponse, contentType: string): void {
  response.writeHead(200, { ...always, 'Content-Type': contentType });
  response.flushHeaders();
}
