// docs/openapi.json out of the routes of the management API.

import { apiDescription } from '../src/admin/api/description.ts';

export async function openApiDocument(): Promise<string> {
  return `${JSON.stringify(await apiDescription(), undefined, 2)}\n`;
}
