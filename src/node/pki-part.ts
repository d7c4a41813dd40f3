import { join } from 'node:path';
import type { Log } from '../base/log.ts';
import type { Config } from '../config.ts';
import { openPki, type PkiSettings } from '../security/pki/built-in-pki.ts';
import { AuthorityManager } from '../security/pki/authority-manager.ts';
import type { Part } from './part.ts';
import { pkiPath } from './paths.ts';
import type { Rooms } from './rooms.ts';
import { openSealerOf } from './sealer-of.ts';

/** The secret that protects keys at rest, and the certificate authority that it opens. */
export function pkiPart(rooms: Rooms): Part {
  let config = rooms.config;
  return {
    name: 'certificate authority',
    async start() {
      const { clock, random, log, registry, audit } = rooms;
      Object.assign(rooms, await openAuthorities({ clock, random, log, registry, audit, config: () => config }));
    },
    stop: () => rooms.pki.close(),
    reload: (changed) => {
      config = changed;
    },
  };
}

type Services = Pick<Rooms, 'clock' | 'random' | 'log' | 'registry' | 'audit'> & { readonly config: () => Config };

/** For the node, and for a command that works without one. @throws UserError as openPki */
export async function openAuthorities({ config, ...services }: Services): Promise<Pick<Rooms, 'sealer' | 'pki' | 'ca'>> {
  const { node, pki: settings } = config();
  const directory = pkiPath(node.dataDir);
  const sealer = await openSealerOf(config(), services);
  const keys = await hsmOf(settings.pkcs11, join(directory, 'keys'), services.log);
  const pki = await openPki({ ...services, directory, sealer, ...(keys && { keys }), settings: () => pkiSettings(config()) });
  const seal = (): void => services.audit.useKey(pki.auditKey);
  pki.subscribe(seal);
  seal();
  return { sealer, pki, ca: new AuthorityManager(pki) };
}

/** Loaded only where there is one. */
async function hsmOf({ module, pinFile, ...rest }: Config['pki']['pkcs11'], directory: string, log: Log) {
  if (module === undefined || pinFile === undefined) return undefined;
  const { openPkcs11 } = await import('../security/pki/pkcs11-signer.ts');
  return openPkcs11({ module, pinFile, ...rest }, directory, log);
}

export function pkiSettings({ pki }: Config): PkiSettings {
  return pki;
}
