// What the parts of a node hand to each other: each is set by the part of its name when it starts, and used only by later parts.

import { TraceHub } from '../admin/trace-hub.ts';
import { SystemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { MetricSource } from '../base/metrics.ts';
import { secureRandom } from '../base/secure-random.ts';
import type { Broker } from '../broker/broker.ts';
import type { Config } from '../config.ts';
import type { Journal } from '../store/journal.ts';
import { NetLoop } from '../net/loop.ts';
import type { RunningProtocol } from '../protocols/protocol-kind.ts';
import type { LookUps, Registry } from '../registry/registry.ts';
import type { AuditLog } from '../security/audit/audit-log.ts';
import type { NodeSecurity } from '../security/create-security.ts';
import type { NodeOscoreContexts } from '../security/oscore/contexts.ts';
import type { Authorization } from '../security/policy/authorization.ts';
import type { HttpProtocol } from '../net/http-protocol.ts';
import type { EnrolmentDesk } from '../security/pki/enrolment/enrolment-desk.ts';
import type { EstDoor } from '../security/pki/enrolment/est-door.ts';
import type { BuiltInPki } from '../security/pki/built-in-pki.ts';
import type { CaManagement } from '../security/pki/ca-management.ts';
import type { Sealer } from '../security/pki/sealing.ts';
import type { Keystore } from '../security/pki/keystore.ts';
import type { ExpiryWatch } from '../security/pki/revocation/expiry-watch.ts';
import type { Revocation } from './revocation-part.ts';

export class Rooms {
  readonly log: Log;
  /** The configuration at the start; what changes while running comes by Part.reload. */
  readonly config: Config;
  readonly dev: boolean;
  /** The node cannot go on: a journal failed, or a handler did. */
  readonly fatal: (error: unknown) => void;
  readonly clock = new SystemClock();
  readonly random = secureRandom;
  readonly loop: NetLoop;
  audit!: AuditLog;
  auditMetrics: MetricSource[] = [];
  keystore!: Keystore;
  /** Opens what is kept sealed on this node. */
  sealer!: Sealer;
  pki!: BuiltInPki;
  ca!: CaManagement;
  revocation: Revocation | undefined;
  publicPki: MetricSource | undefined;
  expiry: ExpiryWatch | undefined;
  enrolment!: EnrolmentDesk;
  /** The same desk for protocols that carry EST in binary. */
  estDoor!: EstDoor;
  /** What listeners of kind est speak. */
  est!: HttpProtocol;
  registry!: Registry;
  /** The registry as it is asked when a peer connects. */
  lookUps!: LookUps;
  registryMetrics: MetricSource | undefined;
  security!: NodeSecurity;
  oscore!: NodeOscoreContexts;
  /** Part of `security`, which reloads and closes it. */
  authorization!: Authorization;
  readonly traces: TraceHub;
  readonly startedAtMs = Date.now();
  broker!: Broker;
  liveCut: MetricSource | undefined;
  journals: readonly (Journal & MetricSource)[] = [];
  /** By name, as in the registry. */
  readonly protocols = new Map<string, RunningProtocol>();
  /** Made at the first start, kept nowhere: to be shown once. */
  firstAdmin: { readonly name: string; readonly password: string } | undefined;

  constructor(config: Config, log: Log, dev: boolean, fatal: (error: unknown) => void) {
    this.config = config;
    this.log = log;
    this.dev = dev;
    this.fatal = fatal;
    const { traceWatchers: watchers, traceLinesPerSecond: linesPerSecond, traceLineLength: lineLength } = config.admin;
    this.traces = new TraceHub(this.clock, { watchers, linesPerSecond, lineLength });
    const { outputHighWaterBytes: highWaterBytes, outputLowWaterBytes: lowWaterBytes } = config.net;
    this.loop = new NetLoop({ clock: this.clock, log, highWaterBytes, lowWaterBytes, onInvariantBroken: fatal });
  }
}
