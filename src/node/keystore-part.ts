import { hostname } from 'node:os';
import type { Config } from '../config.ts';
import { openKeystore, type KeystoreFiles } from '../security/pki/keystore.ts';
import type { Part } from './part.ts';
import { pkiPath } from './paths.ts';
import type { Rooms } from './rooms.ts';

/** How often it is looked whether the issued certificate is due. */
const renewalCheckMs = 3_600_000;

/** Keys and certificates; made at the first start, renewed in time; `renewed` is called when TLS listeners should take the new one. */
export function keystorePart(rooms: Rooms, renewed: () => void): Part {
  let renewal: NodeJS.Timeout | undefined;
  let unsubscribe: (() => void) | undefined;
  let renewing: Promise<void> = Promise.resolve();
  /** One after the other: two at once would each issue a certificate. */
  const renewNext = (): void => {
    renewing = renewing.then(renew);
  };
  const renew = async (): Promise<void> => {
    try {
      if (await rooms.keystore.renewIfDue()) renewed();
    } catch (error) {
      rooms.log.error('the server certificate could not be renewed', { error: (error as Error).message });
    }
  };
  return {
    name: 'keystore',
    async start() {
      const directory = pkiPath(rooms.config.node.dataDir);
      rooms.keystore = await openKeystore({ ...keystoreFiles(rooms.config), directory, hostname: hostname() }, rooms);
      renewal = setInterval(() => {
        void rooms.pki.settled();
        renewNext();
      }, renewalCheckMs).unref();
      // A rotation: the server's certificate is issued anew, and listeners verify clients by other authorities.
      unsubscribe = rooms.pki.subscribe(renewNext);
    },
    async stop() {
      clearInterval(renewal);
      unsubscribe?.();
      await renewing;
    },
    reload: (config) => rooms.keystore.reload(keystoreFiles(config)),
  };
}

function keystoreFiles({ tls }: Config): KeystoreFiles {
  const { certificates, clientCaFile, serverNames, profile } = tls;
  return { certificates, clientCaFile, serverNames, serverCurve: profile === 'cnsa' ? 'P-384' : 'P-256' };
}
