// What opens and seals the secrets that this node keeps, as the configuration says.

import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Config } from '../config.ts';
import { openSealer, passphraseVariable, type Sealer } from '../security/pki/sealing.ts';
import { pkiPath } from './paths.ts';

/** @throws UserError when the secret is missing, cannot be read, or is too short */
export function openSealerOf({ node, pki }: Config, services: { readonly random: Random; readonly log: Log }): Promise<Sealer> {
  const { passphraseFile, keyFile } = pki;
  return openSealer({ directory: pkiPath(node.dataDir), passphraseFile, keyFile, passphrase: process.env[passphraseVariable] }, services);
}
