// Peers of the HTTP API for checks of a whole broker: raw bytes over TLS, and HTTP/2.

import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { request } from 'node:https';
import { connect as connectTls, type TLSSocket } from 'node:tls';

import type { CheckContext } from '../interop/checks.ts';
import type { BrokerProcess } from './broker-process.ts';

/** A connection that speaks HTTP/1.1 as it likes, and collects what it is sent. */
export type RawPeer = {
  readonly socket: TLSSocket;
  readonly text: () => string;
  readonly isClosed: () => boolean;
};

export function httpsPort(broker: BrokerProcess): Promise<number> {
  return broker.served.port('https');
}

export async function rawPeer(context: CheckContext, broker: BrokerProcess): Promise<RawPeer> {
  const port = await httpsPort(broker);
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
  let text = '';
  let isClosed = false;
  socket.setEncoding('latin1').on('data', (part) => (text += String(part)));
  socket.on('error', () => (isClosed = true));
  socket.on('end', () => (isClosed = true));
  socket.on('close', () => (isClosed = true));
  context.after(() => socket.destroy());
  await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  return { socket, text: () => text, isClosed: () => isClosed };
}

export async function http2Peer(context: CheckContext, broker: BrokerProcess): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://127.0.0.1:${await httpsPort(broker)}`, { rejectUnauthorized: false });
  session.on('error', () => {});
  context.after(() => session.destroy());
  await new Promise<void>((resolve, reject) => session.once('connect', () => resolve()).once('error', reject));
  return session;
}

/** The status, or 0 when there is no answer. */
export function statusOf(stream: ClientHttp2Stream): Promise<number> {
  return new Promise((resolve) => {
    stream.on('error', () => resolve(0));
    stream.on('close', () => resolve(0));
    stream.on('response', (headers) => {
      stream.resume();
      resolve(headers[':status'] ?? 0);
    });
  });
}

export async function ask(broker: BrokerProcess, method: string, path: string, body = ''): Promise<{ status: number; text: string }> {
  const port = await httpsPort(broker);
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', path, method, agent: false, rejectUnauthorized: false };
    const asked = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode!, text }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
