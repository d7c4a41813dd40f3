// Runs every chapter, then checks that each statement was proved.

import './messages.ts';
import './exchanges.ts';
import './reliable.ts';
import './blocks.ts';
import './resources.ts';
import './security.ts';

import assert from 'node:assert/strict';
import test from 'node:test';
import { coverage } from './coverage.ts';

// Registered last, so that everything above has run.
test('every statement of the RFCs of CoAP is covered', (t) => {
  const { statements, covered, deviations, uncovered, mistakes } = coverage();
  t.diagnostic(`CoAP: ${statements} statements, ${covered} covered, ${deviations.length} deviations, ${uncovered.length} uncovered`);
  for (const deviation of deviations) t.diagnostic(`deviation: ${deviation}`);
  assert.deepEqual({ uncovered, mistakes }, { uncovered: [], mistakes: [] });
});
