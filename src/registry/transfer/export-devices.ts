// Devices of a tenant as the text of a file, page by page. What is changed meanwhile may be in it as it was or as it is.

import { maxPage, type Query, type Registry, type RegistryError } from '../registry.ts';
import { deviceCsvHeader, deviceToCsv, deviceToJson } from './device-rows.ts';
import type { FileFormat } from './import-devices.ts';

export type ExportPiece = { readonly text: string; readonly devices: number } | { readonly error: RegistryError };

/** The pieces of the file in order; an error is the last one. */
export async function* exportDevices(registry: Registry, tenant: string, format: FileFormat, query: Query): AsyncGenerator<ExportPiece> {
  const write = format === 'csv' ? deviceToCsv : deviceToJson;
  if (format === 'csv') yield { text: deviceCsvHeader, devices: 0 };
  let after: string | undefined;
  do {
    const page = await registry.list('device', tenant, { ...query, limit: maxPage, after });
    if (!page.ok) {
      yield { error: page.error };
      return;
    }
    const { entries, next } = page.value;
    if (entries.length > 0) yield { text: entries.map(write).join(''), devices: entries.length };
    after = next;
  } while (after !== undefined);
}
