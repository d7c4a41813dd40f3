// Runs every chapter, then checks that each statement that binds a server was proved.

import './data.ts';
import './connect.ts';
import './will.ts';
import './session.ts';
import './keep-alive.ts';
import './publish.ts';
import './properties.ts';
import './topic-alias.ts';
import './qos.ts';
import './flow-control.ts';
import './packet-size.ts';
import './subscribe.ts';
import './topics.ts';
import './shared.ts';
import './disconnect.ts';
import './authentication.ts';
import './mqtt-3.1.ts';
import './websocket.ts';

import assert from 'node:assert/strict';
import test from 'node:test';

import { coverageOf } from './coverage.ts';

// Registered last, so that everything above has run.
for (const key of ['v4', 'v5'] as const) {
  test(`every statement of MQTT ${key === 'v4' ? '3.1.1' : '5.0'} that binds a server is covered`, (t) => {
    const { name, serverStatements, covered, untestable, uncovered, mistakes } = coverageOf(key);
    const excused = untestable.length === 0 ? '' : `, ${untestable.length} untestable`;
    t.diagnostic(`${name}: ${serverStatements} server statements, ${covered} covered${excused}, ${uncovered.length} uncovered`);
    for (const reason of untestable) t.diagnostic(`untestable: ${reason}`);
    assert.deepEqual({ uncovered, mistakes }, { uncovered: [], mistakes: [] });
  });
}
