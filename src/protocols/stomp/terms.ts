// What CONNECT asks for, and what is agreed on.

import type { AttachRequest } from '../../broker/port.ts';
import type { Credentials, Principal } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';
import { type Frame, StompFault, type Version, versions } from './codec/index.ts';
import type { StompOptions } from './options.ts';

export type Terms = {
  readonly version: Version;
  readonly clientId: string;
  /** The client has chosen it: durable subscriptions hang on it. */
  readonly isNamed: boolean;
  readonly login: string | undefined;
  readonly passcode: string | undefined;
  readonly beats: HeartBeats;
};

export type HeartBeats = {
  /** The broker sends something at least so often. Infinity: it need not. */
  readonly sendEveryMs: number;
  /** The client does. */
  readonly hearEveryMs: number;
  /** For CONNECTED; undefined: 1.0 has none. */
  readonly header: string | undefined;
};

const assignedIdBytes = 12;

export function termsOf(frame: Frame, options: StompOptions, randomBytes: (length: number) => Uint8Array): Terms | StompFault {
  const version = agreedVersion(frame.get('accept-version'));
  if (version === undefined) {
    return new StompFault('version not supported', `Supported protocol versions are ${versions.join(' ')}`);
  }
  const beats = agreedBeats(version, frame.get('heart-beat'), options.heartBeatMs);
  if (beats instanceof StompFault) return beats;
  const named = frame.get('client-id');
  if (named !== undefined && (named === '' || Buffer.byteLength(named) > options.maxClientIdBytes)) {
    return new StompFault('bad client-id', `a client-id takes 1 to ${options.maxClientIdBytes} bytes`);
  }
  return {
    version,
    clientId: named ?? `auto-${Buffer.from(randomBytes(assignedIdBytes)).toString('hex')}`,
    isNamed: named !== undefined,
    login: frame.get('login'),
    passcode: frame.get('passcode'),
    beats,
  };
}

/** The highest common one (STOMP 1.2, Protocol Negotiation). A client that says nothing speaks 1.0. */
function agreedVersion(accepted: string | undefined): Version | undefined {
  if (accepted === undefined) return '1.0';
  const offered = accepted.split(',').map((each) => each.trim());
  return versions.findLast((each) => offered.includes(each));
}

/** STOMP 1.2, Heart-beating. */
function agreedBeats(version: Version, asked: string | undefined, ownMs: number): HeartBeats | StompFault {
  if (version === '1.0') return { sendEveryMs: Infinity, hearEveryMs: Infinity, header: undefined };
  const match = /^ *(\d{1,10}) *, *(\d{1,10}) *$/.exec(asked ?? '0,0');
  if (match === null)
    return new StompFault('bad heart-beat', 'heart-beat is two numbers of milliseconds: what the client can do, and what it wants');
  const [can, wants] = [Number(match[1]), Number(match[2])];
  return {
    sendEveryMs: wants === 0 ? Infinity : Math.max(ownMs, wants),
    hearEveryMs: can === 0 ? Infinity : Math.max(ownMs, can),
    header: `${ownMs},${ownMs}`,
  };
}

export function credentialsOf({ clientId, login, passcode }: Terms, facts: WireFacts): Credentials {
  return {
    listener: facts.listener,
    remoteAddress: facts.remoteAddress,
    secure: facts.secure,
    clientId,
    // Some clients send empty ones when they have none.
    username: login === '' ? undefined : login,
    password: passcode === undefined || (passcode === '' && (login ?? '') === '') ? undefined : new Uint8Array(Buffer.from(passcode)),
    certificate: facts.peerCertificate,
    ...(facts.pskIdentity !== undefined && { pskIdentity: facts.pskIdentity }),
  };
}

/** The broker session of a connection: its subscriptions are parts of it. */
export function connectionAttachRequest(terms: Terms, principal: Principal, facts: WireFacts, serial: number): AttachRequest {
  return {
    ...commonRequest(terms, principal, facts),
    clientId: `${sessionPrefix(terms)}#${serial}`,
    connectsAs: terms.clientId,
    cleanStart: true,
    sessionExpiryMs: 0,
    receiveMaximum: 1,
  };
}

export function commonRequest({ version }: Terms, principal: Principal, { remoteAddress, listener }: WireFacts) {
  return { principal, protocol: `STOMP ${version}`, remoteAddress, listener, will: undefined, maxPacketBytes: 0xffff_ffff } as const;
}

/** Names no two clients' sessions alike, whatever they are called. */
export function sessionPrefix({ clientId }: Terms): string {
  return `$stomp/${nameText(clientId)}/`;
}

export function nameText(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('/', '%2F');
}
