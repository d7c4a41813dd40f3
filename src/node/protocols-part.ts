import { protocolKinds, settingsOf } from '../config/protocol-kinds.ts';
import type { ManagementDesk } from '../protocols/management-desk.ts';
import type { ProtocolParts } from '../protocols/protocol-kind.ts';
import { changeInPlace } from './change-in-place.ts';
import { LoopTimers } from './loop-timers.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';
import { packageVersion } from './version.ts';

/** All protocols of the registry. They have nothing to open or close: listeners bring and end their peers. */
export function protocolsPart(rooms: Rooms): Part {
  const options = new Map(protocolKinds.map((kind) => [kind, kind.options(settingsOf(kind, rooms.config), rooms.config)]));
  return {
    name: 'protocols',
    start() {
      const parts = partsOf(rooms);
      for (const kind of protocolKinds) rooms.protocols.set(kind.name, kind.create(parts, options.get(kind)!));
    },
    stop() {},
    // Only what the configuration calls live has other values here.
    reload(config) {
      for (const [kind, given] of options) changeInPlace(given, kind.options(settingsOf(kind, config), config));
    },
  };
}

function partsOf(rooms: Rooms): ProtocolParts {
  const { broker, security, oscore, estDoor: enrolment, clock, random, log, loop, traces: trace } = rooms;
  return {
    broker,
    security,
    oscore,
    enrolment,
    clock,
    random,
    log,
    turn: loop,
    timers: new LoopTimers(loop),
    trace,
    accepts: (listener) => security.accepts(listener),
    product: { name: 'Heliograph', version: packageVersion() },
    desk: deskOf(rooms),
  };
}

/** What is managed by a protocol is in the audit log, as what is managed otherwise. */
function deskOf({ broker, audit }: Rooms): ManagementDesk {
  return {
    management: broker.management,
    record({ principal, action, target, from, outcome }) {
      const { tenant, id, access } = principal;
      audit.record({ actor: { kind: 'principal', tenant, id, ...(access && { method: access.method }) }, action, target, from, outcome });
    },
  };
}
