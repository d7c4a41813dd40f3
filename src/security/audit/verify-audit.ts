// Is an audit log whole? Walks every line of every file and finds what was removed, changed, added or moved. What stands behind
// the last seal is held together by its hashes alone: whoever can write the files could have made it. And a log whose end was cut
// off right behind a seal looks whole, unless somebody kept its head elsewhere and says so.

import { verify as verifySignature, X509Certificate } from 'node:crypto';
import { auditSigning } from '../pki/profiles.ts';
import type { AuditHead } from './audit.ts';
import { auditLimits, hashOf, noHash, parseLine, sealedText } from './audit-line.ts';
import type { AuditLine, KeyLine, SealLine } from './audit-line.ts';
import { linesOf, segmentsOf } from './segments.ts';

export type AuditFault = {
  readonly file: string;
  /** Line in the file, from 1. */
  readonly line: number;
  readonly what: string;
};

export type AuditReport = {
  readonly whole: boolean;
  readonly faults: readonly AuditFault[];
  /** There are more than are listed. */
  readonly moreFaults: number;
  readonly segments: number;
  readonly lines: number;
  readonly entries: number;
  readonly seals: number;
  readonly firstSeq: number;
  readonly head: AuditHead;
  /** Everything up to here is signed. */
  readonly sealedThrough: number;
  /**
   * Signatures that came more than an hour after the first line that they sign: commands wrote while no node ran, or its key could not
   * be used. Until then whoever can write the files could have changed those lines.
   */
  readonly lateSeals: number;
};

export type VerifyOptions = {
  /** PEM of the roots that the certificates of seals must lead to. */
  readonly roots: readonly string[];
  /** What an earlier head was: that line must still be there, unchanged. */
  readonly expected?: AuditHead | undefined;
  /** Of a log that is being written to: lines behind this one are not read. */
  readonly throughSeq?: number | undefined;
  readonly onProgress?: (lines: number) => void;
};

const maxFaults = 100;
const lateMs = 3_600_000;

export async function verifyAudit(directory: string, options: VerifyOptions): Promise<AuditReport> {
  const walk = new Walk(options);
  const segments = await segmentsOf(directory);
  for (const { path, firstSeq } of segments) {
    walk.begin(path, firstSeq);
    for await (const { text, whole } of linesOf(path, auditLimits.line)) {
      walk.take(text, whole);
      if (walk.hasReached(options.throughSeq)) return walk.report(segments.length);
    }
  }
  return walk.report(segments.length);
}

class Walk {
  readonly #roots: readonly X509Certificate[];
  readonly #options: VerifyOptions;
  readonly #faults: AuditFault[] = [];
  #moreFaults = 0;
  #file = '';
  #line = 0;
  #lines = 0;
  #entries = 0;
  #seals = 0;
  #firstSeq = 0;
  #head: AuditHead = { seq: 0, hash: noHash };
  /** What the first line says stood before it. */
  #before: AuditHead | undefined;
  /** Number of the line that proves the beginning; 0: it is the first one of all. */
  #proofSeq = Infinity;
  #expectedIsFound = false;
  #sealedThrough = 0;
  #lateSeals = 0;
  /** When the first line was written that no seal covers yet. */
  #unsealedSinceMs = Infinity;
  #key: X509Certificate | undefined;

  constructor(options: VerifyOptions) {
    this.#options = options;
    this.#roots = options.roots.map((pem) => new X509Certificate(pem));
    this.#expectedIsFound = options.expected === undefined || options.expected.seq === 0;
  }

  begin(path: string, firstSeq: number): void {
    this.#file = path;
    this.#line = 0;
    // Each file names its key again: an auditor may be given one file alone.
    this.#key = undefined;
    if (this.#lines > 0 && firstSeq !== this.#head.seq + 1) this.#fault(`begins with line ${firstSeq}, not ${this.#head.seq + 1}`);
  }

  hasReached(seq = Infinity): boolean {
    return this.#head.seq >= seq;
  }

  take(text: string, whole: boolean): void {
    this.#line++;
    this.#lines++;
    if (this.#lines % 100_000 === 0) this.#options.onProgress?.(this.#lines);
    const line = whole ? parseLine(text) : undefined;
    if (line === undefined) {
      this.#fault(whole ? 'is no line of an audit log' : 'is not finished');
      this.#head = { seq: this.#head.seq + 1, hash: hashOf(text) };
      return;
    }
    if (this.#before === undefined) {
      this.#before = { seq: line.seq - 1, hash: line.prev };
      this.#firstSeq = line.seq;
      if (line.seq === 1 && line.prev === noHash) this.#proofSeq = 0;
    } else this.#checkPlace(line);
    const hash = hashOf(text);
    const { expected } = this.#options;
    if (expected?.seq === line.seq) {
      this.#expectedIsFound = true;
      if (expected.hash !== hash) this.#fault(`is not the line ${line.seq} that the expected head names`);
    }
    this.#unsealedSinceMs = Math.min(this.#unsealedSinceMs, Date.parse(line.at));
    this.#checkKind(line);
    this.#head = { seq: line.seq, hash };
  }

  #checkPlace({ seq, prev }: AuditLine): void {
    const wanted = this.#head.seq + 1;
    if (seq > wanted) this.#fault(seq === wanted + 1 ? `line ${wanted} is missing` : `lines ${wanted} to ${seq - 1} are missing`);
    else if (seq < wanted) this.#fault(`line ${seq} comes after line ${this.#head.seq}`);
    else if (prev !== this.#head.hash) this.#fault(`does not follow from the line before: one of them was changed`);
  }

  #checkKind(line: AuditLine): void {
    if (line.type === 'key') this.#takeKey(line);
    else if (line.type === 'seal') this.#checkSeal(line);
    else {
      this.#entries++;
      const { action, actor, details } = line;
      const isExpiry = action === 'audit.expire' && actor.kind === 'node';
      if (isExpiry && details?.['throughSeq'] === this.#before?.seq && details?.['hash'] === this.#before?.hash)
        this.#proofSeq = Math.min(this.#proofSeq, line.seq);
    }
  }

  #takeKey({ certificate, chain, at }: KeyLine): void {
    this.#key = undefined;
    try {
      const own = new X509Certificate(certificate);
      const why = this.#distrust(own, certificatesOf(chain), new Date(at));
      if (why === undefined) this.#key = own;
      else this.#fault(`names a key that is not trusted: ${why}`);
    } catch {
      this.#fault('holds a certificate that cannot be read');
    }
  }

  #distrust(own: X509Certificate, chain: readonly X509Certificate[], at: Date): string | undefined {
    // `keyUsage` of Node is the extended one.
    if (own.keyUsage?.includes(auditSigning) !== true) return 'its certificate is not for sealing audit logs';
    let below = own;
    for (let depth = 0; depth < 8; depth++) {
      if (at < below.validFromDate || at > below.validToDate) return `${below.subject} was not valid then`;
      const root = this.#roots.find((each) => each.fingerprint256 === below.fingerprint256 || isIssuedBy(below, each));
      if (root !== undefined) return undefined;
      const issuer = chain.find((each) => each.fingerprint256 !== below.fingerprint256 && each.ca && isIssuedBy(below, each));
      if (issuer === undefined) return 'its chain does not lead to a trusted root';
      below = issuer;
    }
    return 'its chain is too long';
  }

  #checkSeal(line: SealLine): void {
    this.#seals++;
    if (this.#key === undefined) return this.#fault('is a seal without a trusted key');
    const { publicKey } = this.#key;
    const hash =
      publicKey.asymmetricKeyType === 'ed25519' ? null : isP384(publicKey.asymmetricKeyDetails?.namedCurve) ? 'sha384' : 'sha256';
    if (verifySignature(hash, sealedText(line), publicKey, Buffer.from(line.signature, 'base64'))) this.#sealed(line);
    else this.#fault('is a seal whose signature is wrong');
  }

  #sealed({ seq, at }: SealLine): void {
    this.#sealedThrough = seq;
    if (Date.parse(at) - this.#unsealedSinceMs > lateMs) this.#lateSeals++;
    this.#unsealedSinceMs = Infinity;
  }

  report(segments: number): AuditReport {
    const { expected } = this.#options;
    if (!this.#expectedIsFound) {
      const isOlder = expected!.seq < this.#firstSeq;
      this.#fault(
        isOlder
          ? `line ${expected!.seq} is older than the first that is still there (${this.#firstSeq}): a later head is needed`
          : `the log ends before line ${expected!.seq}, which there was: its end was cut off`,
      );
    }
    // Where nothing is signed nothing is proved in any case, which the report says.
    if (this.#lines > 0 && this.#proofSeq > (this.#seals === 0 ? this.#head.seq : this.#sealedThrough)) {
      this.#fault(`the log begins with line ${this.#firstSeq}, and no signed entry tells of the removal of earlier ones`);
    }
    return {
      whole: this.#faults.length === 0,
      faults: this.#faults,
      moreFaults: this.#moreFaults,
      segments,
      lines: this.#lines,
      entries: this.#entries,
      seals: this.#seals,
      firstSeq: this.#firstSeq,
      head: this.#head,
      sealedThrough: this.#sealedThrough,
      lateSeals: this.#lateSeals,
    };
  }

  #fault(what: string): void {
    if (this.#faults.length < maxFaults) this.#faults.push({ file: this.#file, line: this.#line, what });
    else this.#moreFaults++;
  }
}

function isIssuedBy(below: X509Certificate, above: X509Certificate): boolean {
  return below.checkIssued(above) && below.verify(above.publicKey);
}

function isP384(curve: string | undefined): boolean {
  return curve === 'secp384r1';
}

function certificatesOf(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.slice(0, 8).map((block) => new X509Certificate(block));
}
