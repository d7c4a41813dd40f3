// Runs every chapter, then checks that each statement that binds a broker was proved.

import './connection.ts';
import './session.ts';
import './link.ts';
import './flow-control.ts';
import './transfer.ts';
import './recovery.ts';
import './messaging.ts';
import './transactions.ts';
import './security.ts';

import assert from 'node:assert/strict';
import test from 'node:test';
import { coverage } from './coverage.ts';

// Registered last, so that everything above has run.
test('every statement of AMQP 1.0 that binds a broker is covered', (t) => {
  const { statements, covered, deviations, uncovered, mistakes } = coverage();
  t.diagnostic(`AMQP 1.0: ${statements} statements, ${covered} covered, ${deviations.length} deviations, ${uncovered.length} uncovered`);
  for (const deviation of deviations) t.diagnostic(`deviation: ${deviation}`);
  assert.deepEqual({ uncovered, mistakes }, { uncovered: [], mistakes: [] });
});
