// One bound UDP socket. node:dgram is within a few percent of what its handle alone would cost, provided that it does not look
// every address up: what is sent goes to addresses that datagrams came from, so there is nothing to look up.

import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { DatagramCounters } from './datagram-counters.ts';

export type UdpSocketOptions = {
  /** Text of an address, not a name; `::` is every interface, IPv4 and IPv6. */
  readonly host: string;
  readonly port: number;
  readonly receiveBufferBytes: number;
  readonly sendBufferBytes: number;
  /** Bytes that may wait in the process for the system to take them. */
  readonly maxQueuedBytes: number;
  /** A group that it is bound to and joins, by the interface with this address (IPv4) or name (IPv6). */
  readonly group?: { readonly address: string; readonly by: string };
};

/** `address` as the system writes it, `port` not 0. */
export type DatagramReceiver = (bytes: Uint8Array, address: string, port: number) => void;

/** How often it is looked whether datagrams wait in the process: a few at a time can do no harm. */
const sendsBetweenLooks = 64;

export class UdpSocket {
  readonly #socket: Socket;
  readonly #counters: DatagramCounters;
  readonly #maxQueuedBytes: number;
  #untilLook = sendsBetweenLooks;
  #isOpen = true;

  constructor(socket: Socket, counters: DatagramCounters, maxQueuedBytes: number) {
    this.#socket = socket;
    this.#counters = counters;
    this.#maxQueuedBytes = maxQueuedBytes;
  }

  get address(): { readonly host: string; readonly port: number } {
    const { address, port } = this.#socket.address();
    return { host: address, port };
  }

  /** What the system grants, which may be less than what was asked for. Linux tells twice of what can be used. */
  get receiveBufferBytes(): number {
    return this.#socket.getRecvBufferSize();
  }

  /** `address` and `port` as they came with a datagram. */
  send(bytes: Uint8Array, port: number, address: string): void {
    const { dropped } = this.#counters;
    if (!this.#isOpen) {
      dropped.closed++;
      return;
    }
    if (--this.#untilLook <= 0) {
      if (this.#socket.getSendQueueSize() > this.#maxQueuedBytes) {
        // It is looked again with the next one.
        dropped.congested++;
        return;
      }
      this.#untilLook = sendsBetweenLooks;
    }
    try {
      this.#socket.send(bytes, port, address);
    } catch {
      dropped.system++;
      return;
    }
    this.#counters.sent++;
    this.#counters.bytesOut += bytes.length;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket.close();
  }
}

/** Rejects with the system's error. */
export async function openUdpSocket(options: UdpSocketOptions, counters: DatagramCounters, receive: DatagramReceiver): Promise<UdpSocket> {
  const { host, port, receiveBufferBytes, sendBufferBytes, maxQueuedBytes, group } = options;
  const address = group?.address ?? (await addressOf(host));
  const socket = createSocket({
    type: address.includes(':') ? 'udp6' : 'udp4',
    reuseAddr: group !== undefined,
    lookup: (name, family, done) => done(null, name, family as number),
  });
  try {
    await bound(socket, address, port);
    socket.setRecvBufferSize(receiveBufferBytes);
    socket.setSendBufferSize(sendBufferBytes);
    if (group !== undefined) socket.addMembership(group.address, group.by);
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.on('message', (bytes, from) => {
    // Nobody can be answered at port 0 (RFC 768), and an empty datagram means nothing to anybody.
    if (from.port === 0 || bytes.length === 0) {
      counters.received++;
      counters.dropped.malformed++;
    } else receive(bytes, from.address, from.port);
  });
  socket.on('error', () => {
    counters.dropped.system++;
  });
  return new UdpSocket(socket, counters, maxQueuedBytes);
}

/** The same; on a machine without IPv6 `::` is every interface of IPv4. */
export async function bindUdp(options: UdpSocketOptions, counters: DatagramCounters, receive: DatagramReceiver): Promise<UdpSocket> {
  try {
    return await openUdpSocket(options, counters, receive);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (options.host !== '::' || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error;
    return openUdpSocket({ ...options, host: '0.0.0.0' }, counters, receive);
  }
}

async function addressOf(host: string): Promise<string> {
  return isIP(host.split('%')[0]!) === 0 ? (await lookup(host)).address : host;
}

function bound(socket: Socket, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}
