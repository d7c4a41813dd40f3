// Keys of devices as the registry keeps them, for the management API: raw public keys, and security contexts of OSCORE.

import type { DeviceKeys, OscoreGiven } from '../admin/api/services.ts';
import type { Random } from '../base/random.ts';
import type { SecretBox } from '../security/authentication/psk.ts';
import { rawPublicKey, rawPublicKeyHandle } from '../security/authentication/raw-public-key.ts';
import { aeadAlgorithms, hkdfAlgorithms } from '../security/oscore/algorithms.ts';
import {
  defaultAlgorithm,
  defaultHkdf,
  defaultWindow,
  oscoreCredential,
  oscoreFacts,
  oscoreFault,
  oscoreHandle,
  type OscoreFacts,
} from '../security/oscore/oscore-credential.ts';

const secretBytes = 16;
const saltBytes = 8;
/** Among so many kids two devices seldom get the same; who asks tries again then. */
const kidBytes = 3;
const ownId = '01';

export function deviceKeysOf(sealer: () => Promise<SecretBox>, random: Random): DeviceKeys {
  return {
    rawPublicKey(given) {
      const key = rawPublicKey(given);
      if (key === undefined) return undefined;
      const secret = Buffer.from(key.spki).toString('base64');
      return { type: 'raw-public-key', secret, handle: rawPublicKeyHandle(key.hash) };
    },
    rawPublicKeyFacts({ secret }) {
      const key = rawPublicKey(secret);
      return { algorithm: key?.algorithm ?? '', sha256: key?.hash ?? '', publicKey: secret };
    },
    async oscore(given, tenant, owner) {
      const facts = factsOf(given, random);
      const masterSecret = bytesOf(given.masterSecret, secretBytes, random);
      const masterSalt = bytesOf(given.masterSalt ?? (given.masterSecret === undefined ? undefined : ''), saltBytes, random);
      const secrets = { masterSecret, masterSalt };
      const fault = oscoreFault(facts, secrets);
      if (fault !== undefined) return { fault };
      const secret = oscoreCredential(facts, secrets, await sealer(), tenant, owner);
      const fields = { type: 'oscore', secret, handle: oscoreHandle(facts.recipientId, facts.idContext) } as const;
      const shown = { masterSecret: hexOf(masterSecret), masterSalt: hexOf(masterSalt) };
      return { fields, ...(given.masterSecret === undefined && { shown }) };
    },
    oscoreFacts(entry) {
      const facts = oscoreFacts(entry);
      if (facts === undefined) return undefined;
      const { algorithm, hkdf, ...others } = facts;
      return {
        ...others,
        algorithm: aeadAlgorithms.find(({ number }) => number === algorithm)?.name ?? String(algorithm),
        hkdf: hkdfAlgorithms.find(({ number }) => number === hkdf)?.name ?? String(hkdf),
      };
    },
  };
}

function factsOf(given: OscoreGiven, random: Random): OscoreFacts {
  return {
    algorithm: aeadAlgorithms.find(({ name }) => name === given.algorithm)?.number ?? defaultAlgorithm.number,
    hkdf: hkdfAlgorithms.find(({ name }) => name === given.hkdf)?.number ?? defaultHkdf.number,
    senderId: given.senderId?.toLowerCase() ?? ownId,
    recipientId: given.recipientId?.toLowerCase() ?? hexOf(random.bytes(kidBytes)),
    idContext: given.idContext?.toLowerCase(),
    windowSize: given.windowSize ?? defaultWindow,
    rederivation: given.rederivation ?? false,
  };
}

function bytesOf(given: string | undefined, length: number, random: Random): Uint8Array {
  return given === undefined ? random.bytes(length) : Buffer.from(given, 'hex');
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
