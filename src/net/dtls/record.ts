// The records of DTLS 1.2 in a datagram (RFC 6347 §4.1), with those of RFC 9146 that carry a Connection ID.

export const contentTypes = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23, tls12Cid: 25 } as const;

export const dtls12 = 0xfefd;
/** What stands in the first ClientHello, and in HelloVerifyRequest (RFC 6347 §4.2.1). */
export const dtls10 = 0xfeff;

/** Of a record without Connection ID. */
export const recordHeaderBytes = 13;
/** Of ours: all are the same, because only who issued one knows how long it is. 48 bits fit a number. */
export const cidBytes = 6;

/** TLSPlaintext.length must not exceed 2^14 (RFC 6347 §4.1). */
export const maxPlaintext = 16_384;

/** Walks over the records of one datagram; one object is used again and again. */
export class RecordCursor {
  readonly #cidBytes: number;
  type = 0;
  epoch = 0;
  sequence = 0;
  /** The receiver's, of records of type tls12_cid. */
  cid = 0;
  /** Where it begins. */
  head = 0;
  /** Where its body is. */
  start = 0;
  end = 0;

  /** `ownCidBytes`: how long the receiver's Connection IDs are. */
  constructor(ownCidBytes: number) {
    this.#cidBytes = ownCidBytes;
  }

  /** Reads the header at `at`. False: no whole record of DTLS stands there; the rest of the datagram means nothing. */
  read(datagram: Buffer, at: number): boolean {
    const type = datagram[at];
    if (type === undefined || type < contentTypes.changeCipherSpec || type > contentTypes.tls12Cid || type === 24) return false;
    const own = type === contentTypes.tls12Cid ? this.#cidBytes : 0;
    const headerBytes = recordHeaderBytes + own;
    if (at + headerBytes > datagram.length) return false;
    const version = datagram.readUInt16BE(at + 1);
    if (version !== dtls12 && version !== dtls10) return false;
    this.type = type;
    this.epoch = datagram.readUInt16BE(at + 3);
    if (this.epoch > 0 && version !== dtls12) return false;
    this.sequence = datagram.readUIntBE(at + 5, 6);
    this.cid = own === 0 ? 0 : datagram.readUIntBE(at + 11, own);
    this.head = at;
    this.start = at + headerBytes;
    this.end = this.start + datagram.readUInt16BE(this.start - 2);
    return this.end <= datagram.length;
  }

  /** The Connection ID as it stands in the datagram. */
  cidIn(datagram: Uint8Array): Uint8Array {
    return datagram.subarray(this.start - 2 - this.#cidBytes, this.start - 2);
  }
}

/** A record of epoch 0. */
export function plainRecord(type: number, version: number, sequence: number, body: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(recordHeaderBytes + body.length);
  record[0] = type;
  record.writeUInt16BE(version, 1);
  record.writeUInt16BE(0, 3);
  record.writeUIntBE(sequence, 5, 6);
  record.writeUInt16BE(body.length, 11);
  record.set(body, recordHeaderBytes);
  return record;
}

/** Connection IDs of ours on the wire. */
export function cidOnWire(cid: number): Buffer {
  const bytes = Buffer.alloc(cidBytes);
  bytes.writeUIntBE(cid, 0, cidBytes);
  return bytes;
}
