import type { Config } from '../config.ts';
import { openPki, type PkiSettings } from '../security/pki/built-in-pki.ts';
import { AuthorityManager } from '../security/pki/authority-manager.ts';
import { openSealer, passphraseVariable } from '../security/pki/sealing.ts';
import type { Part } from './part.ts';
import { pkiPath } from './paths.ts';
import type { Rooms } from './rooms.ts';

/** The secret that protects keys at rest, and the certificate authority that it opens. */
export function pkiPart(rooms: Rooms): Part {
  let config = rooms.config;
  return {
    name: 'certificate authority',
    async start() {
      const { passphraseFile, keyFile } = config.pki;
      const directory = pkiPath(config.node.dataDir);
      const sealing = { directory, passphraseFile, keyFile, passphrase: process.env[passphraseVariable] };
      rooms.sealer = await openSealer(sealing, rooms);
      rooms.pki = await openPki({ ...pkiServicesOf(rooms), directory, sealer: rooms.sealer, settings: () => pkiSettings(config) });
      rooms.ca = new AuthorityManager(rooms.pki);
      const seal = (): void => rooms.audit.useKey(rooms.pki.auditKey);
      rooms.pki.subscribe(seal);
      seal();
    },
    stop: () => rooms.pki.close(),
    reload: (changed) => {
      config = changed;
    },
  };
}

function pkiServicesOf({ clock, random, log, registry, audit }: Rooms) {
  return { clock, random, log, registry, audit };
}

export function pkiSettings({ pki }: Config): PkiSettings {
  return pki;
}
