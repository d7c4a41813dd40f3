import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { nodePrincipal, type Principal } from '../security.ts';
import { createAuthorization } from './authorization.ts';
import type { Rule } from './rules.ts';

test('the node itself may publish where nobody else may, and nobody is taken for it', () => {
  const rules: Rule[] = [{ allow: ['publish', 'subscribe', 'retain'], topics: ['#', '$coap/#'] }];
  const engine = createAuthorization({ rules }, { clock: new ManualClock(), log: silentLog });
  const own = nodePrincipal('acme', '$coap');
  const alike: Principal = { ...own };
  for (const action of ['publish', 'retain', 'subscribe'] as const) assert.equal(engine.allows(own, action, '$coap/rd/x'), true, action);
  assert.equal(engine.forbids(own, 'publish', '$coap/rd/x'), false);
  assert.equal(engine.allows(alike, 'publish', '$coap/rd/x'), false);
  assert.equal(engine.allows(alike, 'retain', '$coap'), false);
  engine.close();
});
