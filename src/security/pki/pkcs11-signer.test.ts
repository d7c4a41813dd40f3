import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../base/log.ts';
import { UserError } from '../../base/user-error.ts';
import { openPkcs11 } from './pkcs11-signer.ts';

// With an HSM it is tested by npm run hsm.
test('without the package for HSMs it is told how to get it', async () => {
  const settings = { module: '/nowhere.so', tokenLabel: 'heliograph', pinFile: '/nowhere', keyLabel: 'x' };
  await assert.rejects(
    openPkcs11(settings, '/nowhere', silentLog),
    (error) => error instanceof UserError && /not installed|cannot be loaded/.test(error.message) && error.fix !== undefined,
  );
});
