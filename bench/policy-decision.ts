// What a decision of access costs. Run: node bench/policy-decision.ts
//
// Cached: the answer is remembered for this principal and topic. Fresh: the topic's text has just been read from bytes, as for the
// first message of a connection. Principals take turns, as on a broker with many connections.

import { SystemClock } from '../src/base/clock.ts';
import { silentLog } from '../src/base/log.ts';
import { createAuthorization, defaultAuthorizationLimits } from '../src/security/policy/authorization.ts';
import type { Authorization } from '../src/security/policy/authorization.ts';
import type { Statement } from '../src/security/policy/policy-document.ts';
import { defaultRules } from '../src/security/policy/rules.ts';
import type { Principal } from '../src/security/security.ts';

const principals = Array.from({ length: 1000 }, (_, i): Principal => ({
  tenant: 'main',
  id: `device-${i}`,
  kind: 'device',
  roles: ['device'],
  groups: ['pumps', `hall-${i % 10}`],
  labels: { site: `site-${i % 50}` },
  access: { listener: 'mqtts', remoteAddress: `10.0.${i >> 8}.${i & 255}`, secure: true, method: 'certificate', certificate: undefined },
}));
const rounds = 9;
const calls = 200_000;
const clock = new SystemClock();

function authorization(statements: readonly Statement[], decisions: number): Authorization {
  const files = statements.length === 0 ? [] : [{ name: 'bench', document: { version: 1, statements } }];
  return createAuthorization({ rules: defaultRules, files }, { clock, log: silentLog }, { ...defaultAuthorizationLimits, decisions });
}

const thousand = Array.from({ length: 1000 }, (_, i): Statement => ({
  effect: i % 10 === 0 ? 'deny' : 'allow',
  actions: ['publish', 'subscribe'],
  topics: [i % 3 === 0 ? `plant/\${label:site}/line-${i}/#` : i % 3 === 1 ? `plant/+/line-${i}/+` : `hall/\${group}/line-${i}`],
  ...(i % 4 === 0 && { conditions: { networks: ['10.0.0.0/8'], secure: true } }),
}));
const conditioned: readonly Statement[] = [
  {
    effect: 'allow',
    actions: ['publish'],
    topics: ['dev/${id}/#'],
    conditions: { networks: ['10.0.0.0/8'], secure: true, methods: ['certificate'] },
  },
  { effect: 'deny', actions: ['publish'], topics: ['dev/+/secret'], conditions: { listeners: ['mqtt'] } },
];

/** Nanoseconds per call, the median of several rounds. */
function median(work: () => number): number {
  const times: number[] = [];
  let sum = 0;
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint();
    sum += work();
    times.push(Number(process.hrtime.bigint() - start) / calls);
  }
  if (sum < 0) throw new Error('unreachable');
  return times.sort((a, b) => a - b)[rounds >> 1]!;
}

function measure(name: string, statements: readonly Statement[], topicOf: (principal: Principal, i: number) => string): void {
  const topics = principals.map((principal) => [0, 1, 2, 3].map((i) => Buffer.from(topicOf(principal, i))));
  const known = topics.map((each) => each.map((topic) => topic.toString('latin1')));
  const remembering = authorization(statements, 100_000);
  const forgetful = authorization(statements, 0);
  const run = (engine: Authorization, fresh: boolean) => () => {
    let allowed = 0;
    for (let i = 0; i < calls; i++) {
      const p = i % principals.length;
      const topic = fresh ? topics[p]![i & 3]!.toString('latin1') : known[p]![i & 3]!;
      if (engine.allows(principals[p]!, 'publish', topic)) allowed++;
    }
    return allowed;
  };
  const decoding = median(() => {
    let length = 0;
    for (let i = 0; i < calls; i++) length += topics[i % principals.length]![i & 3]!.toString('latin1').length;
    return length;
  });
  const cached = median(run(remembering, false));
  const fresh = median(run(remembering, true)) - decoding;
  const uncached = median(run(forgetful, false));
  console.log(
    `${name.padEnd(34)} cached ${cached.toFixed(0)} ns, cached with fresh text ${fresh.toFixed(0)} ns, uncached ${uncached.toFixed(0)} ns`,
  );
}

measure('default rules', [], ({ id }, i) => `dev/${id}/sensor-${i}`);
measure('two statements with conditions', conditioned, ({ id }, i) => `dev/${id}/sensor-${i}`);
measure('1,000 statements', thousand, ({ labels }, i) => `plant/${labels!['site']}/line-${3 * i + 3}/t`);
