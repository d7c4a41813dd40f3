import assert from 'node:assert/strict';
import { test } from 'node:test';
import { managedResources as asked } from '../../admin/api/permission.ts';
import { isOfNode, managedResources, managementRoles } from './management-resources.ts';

test('the management interface asks in the words that policies know', () => {
  const words = asked.flatMap((name) => [`${name}:read`, `${name}:write`]);
  assert.deepEqual([...managedResources].sort(), words.sort());
  for (const granted of Object.values(managementRoles)) {
    for (const resource of granted) assert.ok(resource === '$admin' || managedResources.includes(resource), resource);
  }
  assert.equal(isOfNode('devices:write'), false);
  assert.equal(isOfNode('metrics:read'), true);
  assert.equal(isOfNode('devices'), true, "what is not known is the node's");
});
