// One flight of messages: what is sent, and sent again, with new record numbers each time (RFC 6347 §4.2.4).

import { contentTypes, dtls12, plainRecord } from './record.ts';
import { fragmentOf, fragmentOverhead, messageHeaderBytes } from './handshake-message.ts';
import type { Sealer } from './protection.ts';

export type FlightMessage = { readonly type: number; readonly sequence: number; readonly body: Uint8Array };

/** Numbers of records in clear. */
export type PlainSequence = { next: number };

const changeCipherSpec = Uint8Array.of(1);

export class Flight {
  /** In clear. */
  readonly #messages: readonly FlightMessage[];
  /** Behind ChangeCipherSpec. */
  readonly #finished: { readonly message: FlightMessage; readonly sealer: Sealer } | undefined;
  #sent = 0;

  constructor(messages: readonly FlightMessage[], finished?: { readonly message: FlightMessage; readonly sealer: Sealer }) {
    this.#messages = messages;
    this.#finished = finished;
  }

  /** How often it has been sent. */
  get sent(): number {
    return this.#sent;
  }

  /** The datagrams. */
  datagrams(plain: PlainSequence, mtu: number): Buffer[] {
    const isRepeat = this.#sent++ > 0;
    const packing = new Packing(mtu);
    for (const [i, { type, sequence, body }] of this.#messages.entries()) {
      // GnuTLS ignores a repeated flight that comes as one datagram, so its last message travels alone.
      if (isRepeat && i === this.#messages.length - 1) packing.cut();
      let offset = 0;
      do {
        const room = packing.room(fragmentOverhead + Math.min(body.length, 64)) - fragmentOverhead;
        const end = Math.min(body.length, offset + room);
        packing.add(plainRecord(contentTypes.handshake, dtls12, plain.next++, fragmentOf(type, sequence, body, offset, end)));
        offset = end;
      } while (offset < body.length);
    }
    if (this.#finished !== undefined) {
      const { message, sealer } = this.#finished;
      packing.room(2 * fragmentOverhead);
      packing.add(plainRecord(contentTypes.changeCipherSpec, dtls12, plain.next++, changeCipherSpec));
      packing.room(sealer.overhead + messageHeaderBytes + message.body.length);
      packing.add(sealer.seal(contentTypes.handshake, fragmentOf(message.type, message.sequence, message.body)));
    }
    return packing.done();
  }
}

/** Fills datagrams with records. */
class Packing {
  readonly #mtu: number;
  readonly #datagrams: Buffer[] = [];
  #records: Buffer[] = [];
  #bytes = 0;

  constructor(mtu: number) {
    this.#mtu = mtu;
  }

  /** Room in this datagram, or in a new one when it is less than wanted. */
  room(wanted: number): number {
    if (this.#mtu - this.#bytes < wanted) this.cut();
    return this.#mtu - this.#bytes;
  }

  add(record: Buffer): void {
    this.#records.push(record);
    this.#bytes += record.length;
  }

  cut(): void {
    if (this.#records.length === 0) return;
    this.#datagrams.push(this.#records.length === 1 ? this.#records[0]! : Buffer.concat(this.#records));
    this.#records = [];
    this.#bytes = 0;
  }

  done(): Buffer[] {
    this.cut();
    return this.#datagrams;
  }
}
