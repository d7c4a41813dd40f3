// The description of the API without anything behind it: for the documentation.

import { silentLog } from '../../base/log.ts';
import { createApi } from './api.ts';
import type { ApiServices } from './services.ts';

/** OpenAPI 3.1. */
export async function apiDescription(): Promise<object> {
  const nothing = { log: silentLog, clock: { wallMs: () => 0, monotonicMs: () => 0 } } as ApiServices;
  const api = await createApi(nothing, {
    identify: async () => ({ ok: false, status: 503, detail: 'Nobody is asked here.' }),
    describe: true,
  });
  try {
    return api.description();
  } finally {
    await api.close();
  }
}
