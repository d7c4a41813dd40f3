import { systemScope } from '../registry/entries.ts';
import { ExpiryWatch, type Ending } from '../security/pki/revocation/expiry-watch.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';

const lookEveryMs = 600_000;
const dayMs = 86_400_000;
/** A list has a new one long before it ends: when so little of its life is left, something is wrong. */
const lateListShare = 0.25;
/** The server's own certificate is renewed by this node when a month is left. */
const ownServerWarnMs = 14 * dayMs;

/** Warns of certificates, authorities and lists that are about to end. */
export function expiryPart(rooms: Rooms): Part {
  let interval: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  let { warnDays } = rooms.config.revocation;
  return {
    name: 'expiry warnings',
    start() {
      const { registry, clock, log } = rooms;
      const watch = new ExpiryWatch({ registry, clock, log, endings: () => endingsOf(rooms, warnDays * dayMs) });
      rooms.expiry = watch;
      const look = (): void => {
        looking = looking.then(() => watch.look());
      };
      // Not waited for: a large registry is not a reason to start later.
      look();
      interval = setInterval(look, lookEveryMs).unref();
    },
    async stop() {
      clearInterval(interval);
      await looking;
    },
    reload(config) {
      ({ warnDays } = config.revocation);
    },
  };
}

function endingsOf({ keystore, pki, revocation, config }: Rooms, warnMs: number): Ending[] {
  const endings: Ending[] = keystore.material.servers.map(({ source, notAfterMs }, i) => {
    const isOwn = config.tls.certificates.length === 0;
    const name = isOwn ? 'server' : `${i + 1} ${source.slice(source.lastIndexOf('/') + 1)}`;
    return { kind: 'server', name: plain(name), endMs: notAfterMs, warnMs: isOwn ? Math.min(warnMs, ownServerWarnMs) : warnMs };
  });
  for (const { id, tenant, role, status, notAfterMs } of pki?.authorities ?? []) {
    if (status === 'retired') continue;
    const whose = tenant === systemScope ? role : `${role} of ${tenant}`;
    endings.push({ kind: 'authority', name: plain(`${whose} ${id.slice(0, 16)}`), endMs: notAfterMs, warnMs });
  }
  for (const [id, { nextUpdateMs }] of revocation?.own?.lists.all() ?? []) {
    endings.push({ kind: 'crl', name: id.slice(0, 16), endMs: nextUpdateMs, warnMs: config.revocation.crlValidityMs * lateListShare });
  }
  return endings;
}

/** As the level of a topic. */
function plain(name: string): string {
  return name.replaceAll(/[/+#\p{Cc}]/gu, '-');
}
