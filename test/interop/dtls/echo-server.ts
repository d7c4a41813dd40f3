// A DTLS server on real UDP that sends back what it gets: for interoperability, and for measuring what DTLS alone costs.

import { createSocket, type Socket } from 'node:dgram';
import { createSecretKey } from 'node:crypto';
import { createDtlsEndpoint } from '../../../src/net/dtls/server.ts';
import type { Admission, DtlsEffect, DtlsEndpoint, DtlsSettings } from '../../../src/net/dtls/endpoint.ts';

export type EchoServer = {
  readonly port: number;
  readonly endpoint: DtlsEndpoint;
  /** All effects but datagrams and data, in their order. */
  readonly seen: DtlsEffect[];
  close(): Promise<void>;
};

export type EchoAnswers = {
  readonly keyOf?: (identity: string) => Uint8Array | undefined;
  readonly admit?: (chain: readonly Uint8Array[]) => Admission;
  /** Asked for each datagram that comes, and that is to go; false: it is lost. */
  readonly lets?: () => boolean;
  readonly sends?: () => boolean;
};

export async function startEchoServer(settings: DtlsSettings, answers: EchoAnswers, port = 0): Promise<EchoServer> {
  const endpoint = createDtlsEndpoint(settings);
  const socket: Socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
  const seen: DtlsEffect[] = [];
  let timer: NodeJS.Timeout | undefined;
  const carryOut = (effects: readonly DtlsEffect[]): void => {
    for (const effect of effects) {
      if (effect.kind === 'datagram') {
        if (answers.sends?.() !== false) socket.send(effect.bytes, effect.to.port, effect.to.address);
      } else if (effect.kind === 'data') carryOut(endpoint.send(effect.session, effect.bytes, performance.now()));
      else {
        if (seen.length < 10_000) seen.push(effect);
        answer(effect);
      }
    }
  };
  const answer = (effect: DtlsEffect): void => {
    const now = performance.now();
    if (effect.kind === 'pskWanted') {
      const key = answers.keyOf?.(Buffer.from(effect.identity).toString());
      carryOut(endpoint.pskAnswer(effect.handshake, key && { key: createSecretKey(key) }, now));
    } else if (effect.kind === 'certificateWanted' || effect.kind === 'rawKeyWanted') {
      const chain = effect.kind === 'rawKeyWanted' ? [effect.spki] : effect.chain;
      carryOut(endpoint.admissionAnswer(effect.handshake, answers.admit?.(chain) ?? { ok: true }, now));
    }
  };
  const arm = (): void => {
    clearTimeout(timer);
    const next = endpoint.nextDeadline();
    if (next < Infinity) timer = setTimeout(onDeadline, Math.max(1, next - performance.now()));
  };
  const onDeadline = (): void => {
    carryOut(endpoint.tick(performance.now()));
    arm();
  };
  let armedFor = Infinity;
  socket.on('message', (datagram, from) => {
    if (answers.lets?.() === false) return;
    carryOut(endpoint.receive(datagram, from, performance.now()));
    if (endpoint.nextDeadline() !== armedFor) {
      armedFor = endpoint.nextDeadline();
      arm();
    }
  });
  await new Promise<void>((resolve) => {
    socket.bind(port, '127.0.0.1', resolve);
  });
  return {
    port: socket.address().port,
    endpoint,
    seen,
    close: () =>
      new Promise((resolve) => {
        clearTimeout(timer);
        carryOut(endpoint.closeAll(performance.now()));
        socket.close(() => resolve());
      }),
  };
}
