import type { Config } from '../config.ts';
import type { Reassess } from '../broker/review.ts';
import { defaultTenant } from '../message/names.ts';
import { LiveCut } from './live-cut.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';

/** How long changes are gathered. Of the two seconds in which a revocation must hold, this is the smallest part. */
const gatherMs = 100;

/** What changes in the registry and in the policies holds for who is connected already. */
export function liveCutPart(rooms: Rooms): Part {
  let everyMs = 0;
  let { users } = rooms.config.security;
  let interval: NodeJS.Timeout | undefined;
  const stops: (() => void)[] = [];
  return {
    name: 'live cut',
    start() {
      const { broker, registry, clock, audit, security, loop, config } = rooms;
      everyMs = config.security.reviewEveryMs;
      const cut = new LiveCut({
        clock,
        audit,
        registry,
        version: () => security.version,
        reassess: reassessIn(rooms),
        review: (concerned, reassess, done) => broker.review(concerned, reassess, done),
        endSessions(tenant, principal) {
          // The configuration's own users do not go with an entry of the same name.
          if (users.some(({ name, tenant: of = defaultTenant }) => name === principal && of === tenant)) return 0;
          loop.enterTurn();
          return broker.endSessionsOf(tenant, principal);
        },
      });
      rooms.liveCut = cut;
      stops.push(registry.subscribe((changes) => cut.changed(changes)));
      stops.push(rooms.pki?.subscribe(() => cut.authoritiesChanged()) ?? ((): void => {}));
      interval = setInterval(() => {
        loop.enterTurn();
        cut.tick(everyMs);
      }, gatherMs).unref();
    },
    stop() {
      clearInterval(interval);
      for (const stop of stops.splice(0)) stop();
    },
    reload(config: Config) {
      everyMs = config.security.reviewEveryMs;
      users = config.security.users;
    },
  };
}

/** An answer that comes later comes from outside the event loop's turns. */
function reassessIn({ security, loop }: Rooms): Reassess {
  return (principal, answer) => {
    const inTurn: typeof answer = (result) => {
      loop.enterTurn();
      answer(result);
    };
    security.reassess(principal, inTurn);
  };
}
